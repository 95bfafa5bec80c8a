"""``multiretriever evaluate``."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multiretriever.cli import options
from multiretriever.cli.output import note, show_json, show_table, write

if TYPE_CHECKING:
    from multiretriever.datasets import Dataset
    from multiretriever.evaluation import EvaluationReport
    from multiretriever.evaluation.report import Table

SHIPPED = "shipped"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
Folders = Annotated[
    list[Path],
    typer.Argument(
        metavar="FOLDER[@SPLIT]",
        help="Dataset folders (with dataset.yaml), BEIR folders, or catalogs with flows; of each all, or one split of it.",
    ),
]
Encoders = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder",
        metavar="[NAME=]SPEC",
        show_default="the shipped one",
        help="Encoder, as for `index`, or the word shipped. Repeatable; of several each has a NAME, by default that of its "
        "folder. MULTIRETRIEVER_ENCODER gives one as well.",
    ),
]
Modes = Annotated[
    list[str] | None,
    typer.Option("--mode", metavar="MODE", show_default="all", help="dense, lexical (BM25) or hybrid. Repeatable."),
]
Split = Annotated[str | None, typer.Option("--split", metavar="SPLIT", help="Split of the datasets, such as test.")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", metavar="KIND", help="Kind of queries, such as step.annotation, or given. Repeatable."),
]
Types = Annotated[
    list[str] | None, typer.Option("--element-type", "-t", metavar="TYPE", help="Element type to look for. Repeatable.")
]
Languages = Annotated[
    list[str] | None, typer.Option("--language", metavar="CODE", help="Language of queries, such as de. Repeatable.")
]
By = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="KEY[,KEY]",
        show_default="dataset,element_type; and kind, language where there are several",
        help="Makes a table with a row for each dataset, element_type, kind or language, or for each pair of them. Repeatable.",
    ),
]
Cut = Annotated[
    int | None,
    typer.Option("-k", "--k", metavar="N", min=1, show_default="15 for steps, 5 for others", help="Cut of the recall."),
]
Sample = Annotated[
    int | None,
    typer.Option("--sample", metavar="N", min=1, help="At most so many queries of each dataset and type, drawn at random."),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of the draw, of intervals and of tests.")]
Baseline = Annotated[
    str | None,
    typer.Option("--baseline", metavar="SYSTEM", show_default="the first", help="System that the others are tested against."),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", metavar="FOLDER", help="Write report.json, report.md, report.png and misses.jsonl there."),
]
AllowLeakage = Annotated[
    bool, typer.Option("--allow-leakage", help="Count queries that appear in a document instead of refusing them.")
]
Progress = Annotated[
    bool | None, typer.Option("--progress/--no-progress", show_default="on a terminal", help="Show progress on standard error.")
]


def evaluate(
    folders: Folders,
    encoder: Encoders = None,
    mode: Modes = None,
    split: Split = None,
    kind: Kinds = None,
    element_type: Types = None,
    language: Languages = None,
    by: By = None,
    k: Cut = None,
    sample: Sample = None,
    seed: Seed = 0,
    baseline: Baseline = None,
    output: Output = None,
    allow_leakage: AllowLeakage = False,
    progress: Progress = None,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Measure how well queries with known answers are answered.

    Recall, nDCG@10 and MRR@10 of BM25, of encoders, and of both together, with 95% intervals and tests of the differences.
    Candidates are all elements of the type in the dataset. A query whose text appears in one of them is refused.
    """
    from multiretriever import evaluation
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.core.query import MODES
    from multiretriever.datasets import open_dataset

    load_plugins(plugin)
    check_output(output)
    systems = evaluation.retriever_systems(encoders_of(encoder), mode or MODES)
    datasets = [open_dataset(folder) for folder in folders]
    report = evaluation.evaluate(
        datasets,
        systems,
        selection=evaluation.Selection(split, kind, element_type, language, sample, seed),
        by=by or None,
        k=k,
        baseline=baseline,
        allow_leakage=allow_leakage,
        progress=sys.stderr.isatty() if progress is None else progress,
    )
    if output is not None:
        _save(report, datasets, output)
    if as_json:
        show_json(_summary(report))
    else:
        _show(report)
    if output is not None:
        note(f"report.json, report.md, report.png and misses.jsonl are in {output}")


def encoders_of(specs: list[str] | None) -> str | dict[str, str | None] | None:
    """Returns one encoder, or several by name, as systems are made of them; a name that appears twice is a ``ParameterError``."""
    from multiretriever.core import ParameterError

    given = specs or list(filter(None, [os.environ.get("MULTIRETRIEVER_ENCODER")]))
    pairs = [_named(spec) for spec in given]
    if len(pairs) < 2 and not any(named for _, _, named in pairs):
        return pairs[0][1] if pairs else None
    names = [name for name, _, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ParameterError(f"two encoders have the name {twice!r}; give them names: --encoder NAME=SPEC")
    return {name: spec for name, spec, _ in pairs}


def _named(text: str) -> tuple[str, str | None, bool]:
    """Returns name and spec of an encoder, and whether the name was given."""
    name, sign, spec = text.partition("=")
    named = bool(sign) and _NAME.fullmatch(name) is not None and not Path(text).exists()
    spec = spec if named else text
    if not named:
        name = Path(spec.removeprefix("hub:").rstrip("/\\")).name
    return name, None if spec == SHIPPED else spec, named


def check_output(folder: Path | None) -> None:
    """Makes the folder before anything that takes minutes."""
    from multiretriever.core import ParameterError

    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ParameterError(f"the folder {folder} cannot be made: {error.strerror or error}") from error


def _save(report: EvaluationReport, datasets: list[Dataset], folder: Path) -> None:
    from multiretriever.core import ParameterError
    from multiretriever.evaluation import plot_table, report_markdown, write_misses

    try:
        report.save(folder / "report.json")
        (folder / "report.md").write_text(report_markdown(report), encoding="utf-8", newline="\n")
        write_misses(folder / "misses.jsonl", report, datasets)
    except OSError as error:
        raise ParameterError(f"the report cannot be written to {folder}: {error.strerror or error}") from error
    plot_table(report.tables[0], folder / "report.png")


def _summary(report: EvaluationReport) -> dict[str, object]:
    left_out = {"queries", "values", "ranks", "found"}
    return report.model_dump(mode="json", exclude=left_out) | {"queries": len(report.queries)}


def _show(report: EvaluationReport) -> None:
    from multiretriever.evaluation.report_files import leak_note, words

    for place, table in enumerate(report.tables):
        write(f"{chr(10) if place else ''}{table.title} by {words(', '.join(table.by))}")
        _show_table(table)
    if len(report.systems) > 1:
        note(f"\n+ and -: above and below {report.baseline}, p < 0.05 (permutation test, Holm); [95% bootstrap interval]")
    if report.leaks:
        note(f"warning: {leak_note(report)}")


def _show_table(table: Table) -> None:
    from multiretriever.evaluation.report_files import cell_text

    rows = [
        [*row.head(table), *(cell_text(cell, row.cells[table.baseline]) for cell in row.cells.values())] for row in table.all_rows
    ]
    show_table(table.header, rows, flexible=range(len(table.by)))
