"""Rows of CSV text with the line that each starts on, and cells as the values that a model wants."""

from __future__ import annotations

import csv
import io
import typing
from collections.abc import Iterator
from types import UnionType
from typing import Any

import pydantic

from multiretriever.core.elements import Element
from multiretriever.core.records import ProblemLog
from multiretriever.core.scalars import PlainScalar
from multiretriever.core.sources.json_text import parse_json

_DELIMITERS = ",;\t"
# Each broken quote is searched to its end; a file that is no CSV at all must not take hours.
_MAX_BROKEN = 50


def read_rows(text: str, source: str, log: ProblemLog) -> Iterator[tuple[int, list[str]]]:
    """Gives line and cells of every row that is not blank, the header first.

    A quote that is not closed is reported with the line of its row; reading goes on with the line after it.
    """
    lines = list(io.StringIO(text, newline=""))
    delimiter = _sniff(lines)
    start = broken = 0
    has_header = False
    while start < len(lines):
        reader = csv.reader(lines[start:], delimiter=delimiter, strict=True)
        row_start = start
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    has_header = True
                    yield row_start + 1, [cell.strip() for cell in cells]
                row_start = start + reader.line_num
            return
        except csv.Error as error:
            log.add(f"a quote in this row is not closed, or text follows it ({error})", source, row_start + 1)
        start = row_start + 1
        broken += 1
        if not has_header or broken == _MAX_BROKEN:
            log.add("the rest of the file was not checked", source, start)
            return


def _sniff(lines: list[str]) -> str:
    """Returns the delimiter that the header has most of, quoted parts left out."""
    header = next((line for line in lines if line.strip()), "")
    bare = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=bare.count)


def cell_value(cell: str, name: str, model: type[Element]) -> Any:
    """Turns a cell into the value for an attribute: lists are split at ``|`` or read as JSON, mappings read as JSON.

    Cells of text stay text, whatever they look like; cells for the metadata become numbers and booleans where they look so.

    Raises:
        ValueError: The cell holds JSON that is broken or of the wrong kind.
    """
    info = model.model_fields.get(name)
    if info is None:
        return PlainScalar(cell)
    origin, arguments = _container(info.annotation)
    if origin not in (list, tuple, dict, set, frozenset):
        return cell
    if cell.lstrip().startswith(("[", "{")) or origin is dict:
        return _json(cell)
    parts = [part.strip() for part in cell.split("|") if part.strip()]
    is_model = bool(arguments) and isinstance(arguments[0], type) and issubclass(arguments[0], pydantic.BaseModel)
    return [{"name": part} for part in parts] if is_model else parts


def _container(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Returns origin and arguments of a list or mapping type, also where None may stand in its place."""
    for option in typing.get_args(annotation) if _is_union(annotation) else (annotation,):
        if typing.get_origin(option) in (list, tuple, dict, set, frozenset):
            return typing.get_origin(option), typing.get_args(option)
    return None, ()


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, UnionType)


def _json(cell: str) -> Any:
    parsed = parse_json(cell, "")
    if isinstance(parsed, list):
        raise ValueError("; ".join(problem.message for problem in parsed))
    return parsed.value
