"""``multiretriever pairs``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multiretriever.cli import options
from multiretriever.cli.output import clean, note, show_json, show_table, write

if TYPE_CHECKING:
    from multiretriever.datasets import Dataset
    from multiretriever.training.pairs.pair_tables import DatasetReport
    from multiretriever.training.recipe import PairSettings

Output = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FILE", help="Where the pairs go: .parquet or .jsonl. Summary and plot go beside it."),
]
Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="NAME",
        show_default="train, where there is one",
        help="Split to make pairs of; of several datasets, those without it are used whole.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Decides all chance; the same seed and data give the same pairs.")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", metavar="KIND", help="Only this kind of query, such as step.annotation. Repeatable.")
]
Descriptions = Annotated[
    list[str] | None,
    typer.Option(
        "--descriptions",
        metavar="TYPE",
        show_default="catalog_item, workflow",
        help="Element type whose descriptions become queries (hidden from the answer's text). Repeatable; none for none.",
    ),
]
RandomNegatives = Annotated[int, typer.Option("--random-negatives", help="Random elements of the same type for each pair.")]
HardNegatives = Annotated[
    int, typer.Option("--hard-negatives", help="Near misses for each pair: same scope, table or flow, or a sibling.")
]
Mined = Annotated[
    int, typer.Option("--mined-negatives", help="Negatives by similarity (cosine 0.5 to 0.7, outside the 5 nearest) at most.")
]
Balance = Annotated[bool, typer.Option("--balance/--no-balance", help="Thin frequent elements: 50 uses 4x, 500 uses 16x.")]
Instructions = Annotated[
    bool, typer.Option("--instructions/--no-instructions", help="Put the instruction of its template before each query.")
]
Evaluation = Annotated[
    list[Path] | None,
    typer.Option("--evaluation", metavar="DATASET", help="Dataset to list in the table of evaluation data. Repeatable."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no tables.")]


def pairs(
    datasets: options.Datasets,
    output: Output = Path("pairs.parquet"),
    split: Split = None,
    seed: Seed = 0,
    kind: Kinds = None,
    descriptions: Descriptions = None,
    random_negatives: RandomNegatives = 2,
    hard_negatives: HardNegatives = 2,
    mined_negatives: Mined = 0,
    encoder: options.Encoder = None,
    balance: Balance = True,
    instructions: Instructions = True,
    evaluation: Evaluation = None,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    quiet: Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make training pairs of flows, catalogs and written queries.

    Every kind of query that the package knows is made: all steps of a requirement, a step from its annotation, the next step
    from the flow so far, tables, fields of a table, catalog items from descriptions, workflows. Frequent elements are thinned,
    and each pair gets negatives. The file can be loaded by `datasets` as it is.
    """
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.core.progress import counted
    from multiretriever.datasets import open_dataset
    from multiretriever.training.pairs.pair import check_output

    load_plugins(plugin)
    check_output(output)
    settings = _settings(
        seed=seed,
        kinds=kind,
        descriptions=None if descriptions is None else [name for name in descriptions if name != "none"],
        random_negatives=random_negatives,
        hard_negatives=hard_negatives,
        mined_negatives=mined_negatives,
        balance=balance,
    )
    sources = [open_dataset(path) for path in datasets]
    tested = [open_dataset(path) for path in evaluation or ()]
    with counted("flows read, in two passes", shown=not quiet and sys.stderr.isatty()) as advance:
        reports = _write(
            sources, output, settings, split=split, instructed=instructions, encoder=encoder, on_flow=lambda flow: advance(1)
        )
    _report(reports, tested, output, as_json=as_json, quiet=quiet)


def _settings(**values: Any) -> PairSettings:
    from multiretriever.training.recipe import PairSettings

    return PairSettings.of(**{key: value for key, value in values.items() if value is not None})


def _write(
    sources: Sequence[Dataset],
    output: Path,
    settings: PairSettings,
    *,
    split: str | None,
    instructed: bool,
    encoder: str | None,
    on_flow: Any,
) -> list[DatasetReport]:
    from multiretriever.core import InstructionSet, load_encoder
    from multiretriever.training.pairs import PairBuilder, write_pairs

    builders = [
        PairBuilder(
            dataset,
            settings,
            split=split if split in dataset.splits or len(sources) == 1 else None,
            instructions=InstructionSet.default() if instructed else None,
            encoder=load_encoder(encoder) if settings.mined_negatives else None,
            on_flow=on_flow,
        )
        for dataset in sources
    ]
    write_pairs(output, (pair for builder in builders for pair in builder.build()))
    return [builder.report for builder in builders]


def _report(reports: Sequence[DatasetReport], tested: Sequence[Dataset], output: Path, *, as_json: bool, quiet: bool) -> None:
    from multiretriever.core import MissingDependencyError
    from multiretriever.datasets.dataset import summary_row
    from multiretriever.training.pairs.pair_tables import by_type, plot_balance, to_markdown

    rows = [row for report in reports for row in report.rows()]
    totals = by_type(reports)
    sizes = [summary_row(dataset) for dataset in tested]
    parts = {"Training pairs by element type": totals, "Training pairs by kind of query": rows, "Evaluation data": sizes}
    text = "\n\n".join(f"## {title}\n\n{to_markdown(table)}" for title, table in parts.items() if table)
    output.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    try:
        plot_balance(reports, output.with_suffix(".png"))
    except MissingDependencyError as error:  # The pairs are written; a picture less is no reason to fail.
        note(f"warning: no plot: {error}")
    if as_json:
        negatives = {report.name: dict(report.negatives) for report in reports}
        show_json({"output": str(output), "by_type": totals, "by_kind": rows, "negatives": negatives, "evaluation": sizes})
        return
    for table in () if quiet else parts.values():
        if table:
            show_table(list(table[0]), [list(row.values()) for row in table], flexible=(0,))
            note("")
    for report in reports:
        if report.unknown:
            names = ", ".join(f"{name} ({count})" for name, count in report.unknown.most_common(5))
            note(f"warning: {report.name}: definitions that its catalog does not have make no pairs: {names}")
    note(f"{sum(row['pairs'] for row in totals):,} pairs in {output}; summary and plot beside it (.md, .png)")


# ``multiretriever check``.

CheckedSplit = Annotated[str | None, typer.Option("--split", metavar="NAME", help="Only the flows and queries of this split.")]


def check(
    datasets: options.Datasets,
    split: CheckedSplit = None,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Check the flows and written queries of datasets against their catalogs.

    Every definition, input, table and field must exist, blocks and orders must be right, and every answer of a query must be in
    the catalog. What is wrong is listed, and the exit code is then 1.
    """
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.datasets import check_dataset, open_dataset

    load_plugins(plugin)
    found = {}
    for path in datasets:
        dataset = open_dataset(path)
        found[str(path)] = list(check_dataset(dataset, split))
    if as_json:
        show_json({"ok": not any(found.values()), "problems": found})
    else:
        lines = [f"{path}: {problem}" for path, problems in found.items() for problem in problems]
        write("\n".join(map(clean, lines or [f"{path} is sound" for path in found])))
    if any(found.values()):
        raise typer.Exit(1)
