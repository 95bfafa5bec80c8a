"""The figures of the multi-task retriever paper (arXiv 2501.04652) beside those of a saved report.

``multiretriever evaluate DATASET... --output REPORT``, then ``python benchmarks/paper.py REPORT/report.json``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pydantic
import yaml

from multiretriever.evaluation import EvaluationReport
from multiretriever.evaluation.report_files import grid, line

FIGURES = Path(__file__).with_name("paper.yaml")
_COLUMN = re.compile(r"(?P<type>.+?) recall@(?P<k>\d+)", re.IGNORECASE)
CAUTION = (
    "The paper's data is not public: its figures and ours are of different data, and but for BM25 of different encoders. Rows "
    "stand beside each other because they are of the same kind; that one is higher says nothing by itself."
)


class Figure(pydantic.BaseModel):
    """A figure of the paper: number of its table, row, measure (``Step Recall@15``), value from 0 to 1, and a note."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    table: int
    row: str
    column: str
    value: float = pydantic.Field(ge=0, le=1)
    note: str = ""

    @property
    def cut(self) -> tuple[str, int] | None:
        """Element type and cut of the recall; None for another measure."""
        found = _COLUMN.fullmatch(self.column.strip())
        return (found["type"].strip().casefold().replace(" ", "_"), int(found["k"])) if found else None


class Paper(pydantic.BaseModel):
    """Figures of a paper; ``like`` says which kind of our systems a row can be laid beside."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    title: str
    url: str
    like: dict[str, Literal["lexical", "untuned", "tuned"]] = {}
    figures: tuple[Figure, ...]

    @classmethod
    def from_path(cls, path: Path = FIGURES) -> Paper:
        """Reads the figures of a file."""
        return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def compare(report: EvaluationReport, paper: Paper) -> Iterator[tuple[Figure, dict[str, float]]]:
    """Yields each figure with the recall of our systems of the same kind, by name, as the mean over datasets."""
    rows = {row.keys[0]: row for row in report.table("element_type").rows}
    for figure in paper.figures:
        row = rows.get(figure.cut[0]) if figure.cut else None
        like = paper.like.get(figure.row)
        fits = row is not None and figure.cut is not None and row.k == figure.cut[1] and like is not None
        yield figure, {name: row.cells[name].value for name in _alike(report, like)} if row is not None and fits else {}


def _alike(report: EvaluationReport, like: str | None) -> Iterator[str]:
    for item in report.systems:
        kind = "lexical" if item.mode == "lexical" else "tuned" if item.tuned else "untuned"
        if item.mode and kind == like:
            yield item.name


def paper_markdown(report: EvaluationReport, paper: Paper) -> str:
    """Returns the comparison as a section in Markdown."""
    lines = grid(["table", "row", "measure", "note", "paper", "ours, of the same kind"], 4)
    for figure, ours in compare(report, paper):
        shown = "; ".join(f"{name} {value:.2f}" for name, value in ours.items())
        lines.append(line([str(figure.table), figure.row, figure.column, figure.note, f"{figure.value:.2f}", shown]))
    return f"## Beside the paper\n\n[{paper.title}]({paper.url}). {CAUTION}\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Lays a report beside the figures of the paper.")
    parser.add_argument("report", type=Path, help="report.json of multiretriever evaluate --output")
    report = EvaluationReport.model_validate_json(parser.parse_args().report.read_bytes())
    print(paper_markdown(report, Paper.from_path()))


if __name__ == "__main__":
    main()
