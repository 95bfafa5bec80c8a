"""A report as Markdown."""

from __future__ import annotations

from multiretriever.core.evaluation.measures import RECALL
from multiretriever.core.evaluation.report import EvaluationReport
from multiretriever.core.evaluation.tables import Cell, Table, best, mark
from multiretriever.core.markdown import grid, line

_READING = (
    "Values are means with 95% bootstrap intervals; queries of one flow are drawn together. `mean`, and every row over several "
    "datasets or element types, is the mean over these. `+` and `-` mark what differs from the baseline `{baseline}` (paired "
    "permutation test, p < 0.05 after Holm's correction over the table)."
)


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
    """Returns a sentence on the queries that stand in a document."""
    count = len(report.leaks)
    said = f"{count} of {len(report.queries)} queries stand word for word in a document that is searched"
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
