"""The figures of the multi-task retriever paper (arXiv 2501.04652) beside those of a report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal

import pydantic
from pydantic import ConfigDict

from multiretriever.core.errors import ParameterError, Problem
from multiretriever.core.markdown import grid, line
from multiretriever.core.records import problems_of
from multiretriever.core.yaml_io import Text, decode_text, parse_yaml, read_text
from multiretriever.evaluation.report import EvaluationReport
from multiretriever.evaluation.systems import SystemInfo

Likeness = Literal["lexical", "untuned", "tuned"]
_COLUMN = re.compile(r"(?P<type>.+?) recall@(?P<k>\d+)", re.IGNORECASE)
CAUTION = (
    "The paper's data is not public: its figures and ours are of different data, and but for BM25 of different encoders. Rows "
    "stand beside each other because they are of the same kind; that one is higher says nothing by itself."
)


class Figure(pydantic.BaseModel):
    """A figure of the paper.

    Attributes:
        table: Number of its table.
        row: What was measured, as the paper names it.
        column: Measure, such as ``Step Recall@15``.
        value: The figure, 0 to 1.
        note: What else is to be known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: int
    row: Text
    column: Text
    value: float = pydantic.Field(ge=0, le=1)
    note: Text = ""

    @property
    def cut(self) -> tuple[str, int] | None:
        """Element type and cut of the recall; None for another measure."""
        found = _COLUMN.fullmatch(self.column.strip())
        return (found["type"].strip().casefold().replace(" ", "_"), int(found["k"])) if found else None


class Paper(pydantic.BaseModel):
    """Figures of a paper.

    Attributes:
        title: Its title.
        url: Where it is.
        like: Which kind of our systems a row can be laid beside, by row.
        figures: The figures.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Text
    url: Text
    like: dict[Text, Likeness] = pydantic.Field(default_factory=dict)
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Comparison:
    """A figure of the paper, and what we have of the same kind.

    Attributes:
        figure: The figure.
        ours: Recall of our systems of the same kind, by name, as the mean over datasets; empty where there is none.
    """

    figure: Figure
    ours: dict[str, float]


def read_paper(path: str | Path | None = None) -> Paper:
    """Reads the figures of a paper; without a path those that the package ships.

    Raises:
        ParameterError: The file is not valid; the message lists every problem with its line.
    """
    if path is None:
        return _shipped()
    return _parse(read_text(Path(path)), str(path))


@lru_cache(maxsize=1)
def _shipped() -> Paper:
    data = resources.files("multiretriever.evaluation").joinpath("paper.yaml").read_bytes()
    return _parse(decode_text(data, "paper.yaml"), "paper.yaml")


def _parse(text: str | Problem, source: str) -> Paper:
    documents = text if isinstance(text, Problem) else parse_yaml(text, source)
    if isinstance(documents, Problem):
        raise ParameterError(str(documents))
    if len(documents) != 1:
        raise ParameterError(f"{source}: one mapping is due (got {len(documents)} documents)")
    try:
        return Paper.model_validate(documents[0].value)
    except pydantic.ValidationError as error:
        raise ParameterError("\n".join(map(str, problems_of(error, source=source, line=documents[0].line)))) from error


def compare(report: EvaluationReport, paper: Paper | None = None) -> list[Comparison]:
    """Lays a report beside the figures of a paper.

    Args:
        report: The report.
        paper: The figures; None for those that the package ships.

    Raises:
        ParameterError: The shipped file is not valid.
    """
    paper = paper or read_paper()
    table = report.table("element_type")
    rows = {row.keys[0]: row for row in table.rows}
    found = []
    for figure in paper.figures:
        cut, like = figure.cut, paper.like.get(figure.row)
        row = rows.get(cut[0]) if cut else None
        ours = {} if row is None or cut is None or row.k != cut[1] or like is None else dict(_ours(report, like))
        found.append(Comparison(figure, {name: row.cells[name].value for name in ours} if row else {}))
    return found


def _ours(report: EvaluationReport, like: Likeness) -> Iterator[tuple[str, SystemInfo]]:
    for item in report.systems:
        kind = "lexical" if item.mode == "lexical" else "tuned" if item.tuned else "untuned"
        if item.mode and kind == like:
            yield item.name, item


def paper_markdown(report: EvaluationReport, paper: Paper | None = None) -> str:
    """Returns ``compare`` as a Markdown section. Raises what ``compare`` raises."""
    paper = paper or read_paper()
    lines = grid(["table", "row", "measure", "note", "paper", "ours, of the same kind"], 4)
    for item in compare(report, paper):
        figure = item.figure
        lines.append(line([str(figure.table), figure.row, figure.column, figure.note, f"{figure.value:.2f}", ours_text(item)]))
    head = f"## Beside the paper\n\n[{paper.title}]({paper.url}). {CAUTION}"
    return head + "\n\n" + "\n".join(lines) + "\n"


def ours_text(item: Comparison) -> str:
    """Returns our figures of a comparison in a line."""
    return "; ".join(f"{name} {value:.2f}" for name, value in item.ours.items())
