"""``multiretriever write-queries``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multiretriever.cli import options
from multiretriever.cli.output import note, show_json, show_table

if TYPE_CHECKING:
    from multiretriever.datasets import Dataset
    from multiretriever.training.queries import Document, LlmQueryWriter, Prompts, TemplateQueryWriter
    from multiretriever.training.queries.documents import Written
    from multiretriever.training.queries.writer import Estimate

_SHOWN = 5
Source = Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder, catalog, or BEIR folder: what queries are for.")]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the queries, a dataset of its own, and the answers.")
]
Llm = Annotated[
    str | None,
    typer.Option(
        "--llm", metavar="PROVIDER:MODEL", show_default="templates", help="Chat model that writes, such as openai:gpt-4o-mini."
    ),
]
Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        show_default="all that can be written",
        help="question, claim, title, keywords or free; with --llm also refine and few_shot, or the names of --prompts. "
        "Repeatable.",
    ),
]
PerElement = Annotated[int, typer.Option("--per-element", metavar="N", help="Queries of each kind for each element.")]
Types = Annotated[
    list[str] | None, typer.Option("--element-type", "-t", metavar="TYPE", help="Element type to write for. Repeatable.")
]
Sample = Annotated[
    int | None, typer.Option("--sample", metavar="N", help="At most so many elements of each type, drawn at random: for a trial.")
]
PromptFolder = Annotated[
    Path | None, typer.Option("--prompts", metavar="FOLDER", help="Your own prompts, a file KIND.md for each kind.")
]
Examples = Annotated[
    Path | None,
    typer.Option(
        "--examples", metavar="FILE", help="queries.jsonl of people's own queries for this dataset, for the kind few_shot."
    ),
]
EstimateOnly = Annotated[
    bool, typer.Option("--estimate", "--dry-run", help="Only show how many calls and tokens it takes, and the cost.")
]
PriceIn = Annotated[float | None, typer.Option("--price-in", metavar="X", help="Price of a million tokens of prompt.")]
PriceOut = Annotated[float | None, typer.Option("--price-out", metavar="Y", help="Price of a million tokens of answer.")]
Concurrency = Annotated[int, typer.Option("--concurrency", metavar="N", help="Calls of the model at the same time.")]
Trials = Annotated[int, typer.Option("--trials", metavar="N", help="Answers to one request at most, when they are no good.")]
Seed = Annotated[int, typer.Option("--seed", help="Decides all chance.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no table.")]


def write_queries(
    source: Source,
    output: Output = Path("written-queries"),
    llm: Llm = None,
    kind: Kinds = None,
    per_element: PerElement = 2,
    element_type: Types = None,
    sample: Sample = None,
    prompts: PromptFolder = None,
    examples: Examples = None,
    estimate: EstimateOnly = False,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
    concurrency: Concurrency = 8,
    trials: Trials = 3,
    seed: Seed = 0,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    quiet: Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Write queries for elements that nobody has queries for, to train on.

    From plain templates, without any model, or by a chat model with --llm: that of REFINE and six more kinds. All answers of the
    model are kept in answers.jsonl of the output folder; the same command again goes on where it was stopped and pays for
    nothing twice. The folder is a dataset, which `pairs` and `train` read; a BEIR folder makes a BEIR folder.
    """
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.datasets import open_dataset
    from multiretriever.training.queries import LlmQueryWriter, TemplateQueryWriter, WriterSettings, documents_of
    from multiretriever.training.queries.documents import ANSWERS_FILE, check_output

    load_plugins(plugin)
    _check(llm, prompts=prompts, examples=examples, estimate=estimate)
    check_output(output)
    dataset = open_dataset(source)
    documents = documents_of(dataset, element_type, sample=sample, seed=seed)
    settings = WriterSettings.of(kinds=tuple(kind or ()), per_element=per_element, seed=seed)
    if llm is None:
        _write(TemplateQueryWriter(settings), dataset, documents, output, as_json=as_json, quiet=quiet)
        return
    writer = LlmQueryWriter(
        llm,
        settings,
        prompts=_prompts(prompts, examples, dataset),
        journal=output / ANSWERS_FILE,
        language=dataset.settings.language,
        concurrency=concurrency,
        trials=trials,
    )
    expected = _facts(writer.estimate(documents), price_in, price_out)
    if estimate:
        if as_json:
            show_json({"model": llm, **expected})
        else:
            show_table(["what", "estimate"], [[key.replace("_", " "), str(value)] for key, value in expected.items()])
        return
    note(f"{expected['calls']:,} calls of {llm}, about {expected['prompt_tokens']:,} tokens of prompts; --estimate shows more")
    _write(writer, dataset, documents, output, as_json=as_json, quiet=quiet)
    for line in writer.report.given_up[:_SHOWN]:
        note(f"warning: no good answer: {line}")
    if len(writer.report.given_up) > _SHOWN:
        note(f"warning: ... and {len(writer.report.given_up) - _SHOWN:,} more; all answers are in {output / ANSWERS_FILE}")


def _check(llm: str | None, *, prompts: Path | None, examples: Path | None, estimate: bool) -> None:
    from multiretriever.core import ParameterError

    chosen = {"--prompts": prompts is not None, "--examples": examples is not None, "--estimate": estimate}
    needless = [name for name, there in chosen.items() if there]
    if llm is None and needless:
        raise ParameterError(f"for a chat model only: {', '.join(needless)}; name a model with --llm PROVIDER:MODEL")


def _prompts(folder: Path | None, examples: Path | None, dataset: Dataset) -> Prompts:
    from multiretriever.datasets.dataset import read_queries
    from multiretriever.training.queries import Prompts, examples_of

    shown = () if examples is None else examples_of(dataset, list(read_queries(examples)))
    return Prompts.default(examples=shown) if folder is None else Prompts.from_path(folder, examples=shown)


def _facts(expected: Estimate, price_in: float | None, price_out: float | None) -> dict[str, Any]:
    values: dict[str, Any] = {
        "calls": expected.calls,
        "answers_held": expected.held,
        "given_up": expected.given_up,
        "prompt_tokens": expected.prompt_tokens,
        "output_tokens": expected.output_tokens,
    }
    if price_in is not None or price_out is not None:
        values["cost"] = round(expected.cost(price_in or 0.0, price_out or 0.0), 4)
    return values


def _write(
    writer: TemplateQueryWriter | LlmQueryWriter,
    dataset: Dataset,
    documents: Sequence[Document],
    output: Path,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    from multiretriever.core.progress import counted
    from multiretriever.training.queries import save_queries

    with counted("queries", len(documents) * len(writer.kinds), shown=not quiet and sys.stderr.isatty()) as on_call:
        examples = list(writer.write(documents, on_call=lambda: on_call(1)))
    written = save_queries(output, dataset, examples, writer=writer.name)
    _show(written, output, as_json=as_json, quiet=quiet)


def _show(written: Written, output: Path, *, as_json: bool, quiet: bool) -> None:
    rows: list[list[str | int]] = [[name, kind, count] for (name, kind), count in written.queries.items()]
    if as_json:
        kinds = [dict(zip(("element_type", "kind", "queries"), row, strict=True)) for row in rows]
        show_json({"output": str(output), "queries": written.total, "by_kind": kinds, "dropped": dict(written.dropped)})
        return
    if rows and not quiet:
        show_table(["element type", "kind", "queries"], rows, flexible=(0,))
    left_out = "".join(f"; {count:,} left out ({why})" for why, count in written.dropped.items())
    note(f"{written.total:,} queries in {output}{left_out}")
