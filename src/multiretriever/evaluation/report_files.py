"""A report as files: Markdown, a plot, and the queries whose answers were not all found, to read when a figure is low."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from multiretriever.core.errors import ParameterError
from multiretriever.core.example import Example
from multiretriever.core.flows import Flow
from multiretriever.datasets import Dataset
from multiretriever.evaluation.measures import RECALL, extra
from multiretriever.evaluation.report import Cell, EvaluationReport, Row, Table, best, mark

_READING = (
    "Values are means with 95% bootstrap intervals; queries of one flow are drawn together. `mean`, and every row over several "
    "datasets or element types, is the mean over these. `+` and `-` mark what differs from the baseline `{baseline}` (paired "
    "permutation test, p < 0.05 after Holm's correction over the table)."
)


def grid(head: Sequence[str], texts: int) -> list[str]:
    """Returns the head of a Markdown table, of which the first columns are text and the others numbers."""
    return [line(head), "|" + " --- |" * texts + " ---: |" * (len(head) - texts)]


def line(cells: Sequence[str]) -> str:
    """Returns a line of a Markdown table; what would end a cell is escaped."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def report_markdown(report: EvaluationReport) -> str:
    """Returns a report as Markdown: what was evaluated, the tables, the differences to the baseline."""
    parts = ["# Evaluation", _facts(report), _systems(report)]
    if report.leaks:
        parts.append(f"**{leak_note(report)}**")
    parts.append(_READING.format(baseline=report.baseline))
    for table in report.tables:
        parts += [f"## {table.title} by {words(', '.join(table.by))}", table_markdown(table)]
        if table.measure == RECALL and len(report.systems) > 1:
            parts += [f"Differences to `{table.baseline}`, with p:", differences_markdown(table)]
    return "\n\n".join(parts) + "\n"


def leak_note(report: EvaluationReport) -> str:
    """Returns a sentence on the queries that appear in a document."""
    count = len(report.leaks)
    said = f"{count} of {len(report.queries)} queries appear word for word in a document that is searched"
    return f"Leakage: {said}; figures are too high."


def table_markdown(table: Table) -> str:
    """Returns a table as Markdown, the best value of a row in bold."""
    lines = grid(table.header, len(table.by))
    for row in table.all_rows:
        highest = best(row.cells) if len(table.systems) > 1 else set()
        cells = [cell_text(row.cells[name], row.cells[table.baseline], bold=name in highest) for name in table.systems]
        lines.append(line([*row.head(table), *cells]))
    return "\n".join(lines)


def differences_markdown(table: Table) -> str:
    """Returns the differences of a table to its baseline as Markdown, with the corrected p values."""
    others = [name for name in table.systems if name != table.baseline]
    lines = grid([*map(words, table.by), *others], len(table.by))
    for row in table.all_rows:
        base = row.cells[table.baseline].value
        cells = [f"{row.cells[name].value - base:+.3f} (p {_p(row.cells[name].p)})" for name in others]
        lines.append(line([*row.head(table)[: len(table.by)], *cells]))
    return "\n".join(lines)


def cell_text(cell: Cell, baseline: Cell, *, bold: bool = False) -> str:
    """Returns a value with its interval and its mark, such as ``0.885 [0.861, 0.908] +``."""
    value = f"**{cell.value:.3f}**" if bold else f"{cell.value:.3f}"
    ends = "" if cell.low is None else f" [{cell.low:.3f}, {cell.high:.3f}]"
    return f"{value}{ends} {mark(cell, baseline)}".rstrip()


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _facts(report: EvaluationReport) -> str:
    what = [f"{len(report.queries)} queries of {', '.join(f'`{name}`' for name in report.datasets)}"]
    what += [f"split `{report.split}`"] if report.split else []
    what += [f"at most {report.sample} of each dataset and type, seed {report.seed}"] if report.sample else []
    return "; ".join(what) + ". Candidates are all elements of the type in the dataset."


def _systems(report: EvaluationReport) -> str:
    lines = grid(["system", "mode", "encoder", "fingerprint", "trained with instructions", "shortened queries"], 5)
    for item in report.systems:
        tuned = ("yes" if item.tuned else "no") if item.encoder else ""
        cut = str(item.truncated) if item.encoder else ""
        lines.append(line([item.name, item.mode, item.encoder, item.fingerprint, tuned, cut]))
    return "\n".join(lines)


def words(key: str) -> str:
    """Returns a key as people write it."""
    return key.replace("_", " ")


_INCHES_PER_BAR = 0.16
_LEAST_HEIGHT = 2.5
# Past it a plot is no longer read, and some programs do not open it.
_MOST_HEIGHT = 60.0
_WIDTH = 9.0
_DPI = 150


def plot_table(table: Table, path: str | Path) -> None:
    """Writes a table as grouped bars with their 95% intervals, as PNG.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ParameterError: The file cannot be written.
    """
    # Neither pyplot nor a display: nothing is left behind in the process.
    figures, backend = extra("matplotlib.figure"), extra("matplotlib.backends.backend_agg")
    rows = table.all_rows
    systems = list(rows[0].cells)
    height = min(_MOST_HEIGHT, max(_LEAST_HEIGHT, 1.2 + _INCHES_PER_BAR * len(rows) * (len(systems) + 1)))
    figure = figures.Figure(figsize=(_WIDTH, height), layout="constrained")
    backend.FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, system in enumerate(systems):
        _bars(axes, rows, system, place, len(systems))
    axes.set_yticks(range(len(rows)), [_plain(f"{row.label} ({row.queries})") for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"{table.title}, with 95% intervals")
    axes.xaxis.grid(visible=True, alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=min(len(systems), 4), frameon=False)
    try:
        figure.savefig(path, dpi=_DPI, format="png")
    except OSError as error:
        raise ParameterError(f"the plot {path} cannot be written: {error.strerror or error}") from error


def _bars(axes: Any, rows: tuple[Row, ...], system: str, place: int, count: int) -> None:
    width = 0.8 / count
    cells = [row.cells[system] for row in rows]
    below = [0.0 if cell.low is None else max(0.0, cell.value - cell.low) for cell in cells]
    above = [0.0 if cell.high is None else max(0.0, cell.high - cell.value) for cell in cells]
    axes.barh(
        [number + (place - (count - 1) / 2) * width for number in range(len(rows))],
        [cell.value for cell in cells],
        height=width,
        xerr=[below, above],
        error_kw={"elinewidth": 0.8, "capsize": 1.5},
        label=_plain(system),
    )


def _plain(text: str) -> str:
    # A dollar starts a formula, and a label with a low line at its start is left out of the legend.
    return text.replace("$", r"\$").lstrip("_")


# Steps of a flow so far that are shown, its last ones.
_STEPS_SHOWN = 3


def misses(report: EvaluationReport, datasets: Dataset | Iterable[Dataset]) -> Iterator[dict[str, Any]]:
    """Yields the queries for which some system did not find all that is relevant within its cut, in the order of the report.

    Args:
        report: The report.
        datasets: The datasets that it is about.

    Raises:
        ParameterError: A dataset is missing, or does not have a query of the report.
    """
    given = [datasets] if isinstance(datasets, Dataset) else list(datasets)
    by_name = {dataset.name: dataset for dataset in given}
    if lacking := [name for name in report.datasets if name not in by_name]:
        raise ParameterError(f"the report is also about {', '.join(lacking)}; give that dataset too")
    for name in report.datasets:
        dataset = by_name[name]
        kinds = {query.kind for query in report.queries if query.dataset == name}
        examples = {example.id: example for example in dataset.examples(report.split, tuple(kinds))}
        for place, query in enumerate(report.queries):
            if query.dataset == name and any(values[RECALL][place] < 1 for values in report.values.values()):
                if query.id not in examples:
                    raise ParameterError(f"dataset {name!r} has no query {query.id!r}; it is not the one that was evaluated")
                yield _miss(report, place, dataset, examples[query.id])


def write_misses(path: str | Path, report: EvaluationReport, datasets: Dataset | Iterable[Dataset]) -> int:
    """Writes ``misses``, one JSON object a line, and returns how many. Raises what ``misses`` raises."""
    lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in misses(report, datasets)]
    Path(path).write_text("".join(lines), encoding="utf-8", newline="\n")
    return len(lines)


def _miss(report: EvaluationReport, place: int, dataset: Dataset, example: Example) -> dict[str, Any]:
    def title(element_id: str) -> str:
        element = dataset.catalog.get(example.element_type, element_id)
        return element.title if element is not None else ""

    return {
        "id": example.id,
        "dataset": dataset.name,
        "element_type": example.element_type,
        "kind": example.kind,
        "language": example.language,
        "query": example.query,
        "context": short_context(example.context),
        "relevant": [{"id": item, "label": title(item)} for item in example.relevant],
        "systems": {
            name: {
                "recall": round(values[RECALL][place], 4),
                "rank": report.ranks[name][place],
                "found": [{"id": item, "label": title(item), "score": score} for item, score in report.found[name][place]],
            }
            for name, values in report.values.items()
        },
    }


def short_context(context: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a context as plain values, of a flow its requirement and its last steps, a line each."""
    return {key: _short_flow(value) if key == "flow" else value for key, value in context.items()}


def _short_flow(value: Any) -> Any:
    if isinstance(value, str):
        value = Flow.from_yaml(value)
    flow = value if isinstance(value, Flow) else Flow.model_validate(value)
    called = [item for item in (flow.trigger, *flow.steps) if item is not None]
    lines = [f"{item.definition or '?'}: {item.annotation}" for item in called[-_STEPS_SHOWN:]]
    return {"requirement": flow.requirement, "steps": len(flow.steps), "last": lines}
