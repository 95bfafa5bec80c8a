"""Elements in CSV files, one type a file: rows with the line that each starts on, and cells as the values that a model wants."""

from __future__ import annotations

import csv
import io
import typing
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import UnionType
from typing import Any

import pydantic

from multiretriever.core.elements import Element, ElementType, element_type
from multiretriever.core.errors import ElementTypeError
from multiretriever.core.records import ProblemLog, Record
from multiretriever.core.sources.files import list_folder, parse_json, text_of
from multiretriever.core.yaml_io import PlainScalar, ValuePath

_DELIMITERS = ",;\t"
# Each broken quote is searched to its end; a file that is no CSV at all must not take hours.
_MAX_BROKEN = 50


class CsvSource:
    """A CSV file named after an element type (``steps.csv``, ``step.csv``), or a folder of such files.

    The header names attributes; further columns become metadata, and empty cells are left out. ``|`` separates the values of a
    list.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Yields a record for every row; what is wrong goes to the log with its file and line."""
        files = [self.path]
        if self.path.is_dir():
            files = [file for file in list_folder(self.path, log) if file.suffix.lower() == ".csv"]
            if not files:
                log.add("no CSV file is in the folder", str(self))
        for file in files:
            try:
                kind = element_type(file.stem.lower())
            except ElementTypeError as error:
                log.add(f"the file is named after no type: {error}", str(file))
                continue
            text = text_of(file, log)
            if text is not None:
                yield from _read_file(text, kind, str(file), log)

    def __str__(self) -> str:
        return str(self.path)


def _read_file(text: str, kind: ElementType, source: str, log: ProblemLog) -> Iterator[Record]:
    rows = read_rows(text, source, log)
    line, header = next(rows, (0, []))
    before = len(log.problems)
    _check_header(header, kind, source, line, log)
    has_names = len(log.problems) == before
    for line, cells in rows:
        if len(cells) != len(header):
            amount = "too many" if len(cells) > len(header) else "too few"
            log.add(f"the row has {amount} cells: {len(cells)}, the header has {len(header)}", source, line)
        elif has_names:
            yield from _row_record(header, cells, kind, source, line, log)


def _check_header(header: list[str], kind: ElementType, source: str, line: int, log: ProblemLog) -> None:
    if not header:
        return  # The log says what is wrong with the first row.
    for number, name in enumerate(header, start=1):
        if not name:
            log.add(f"column {number} has no header", source, line)
    for name, count in Counter(filter(None, header)).items():
        if count > 1:
            log.add(f"the header {name!r} appears {count} times; one column would hide the other", source, line, name)
    for name, attribute in kind.model.model_fields.items():
        if attribute.is_required() and name != "id" and name not in header:
            found = ", ".join(filter(None, header))
            log.add(f"there is no column {name!r} (found: {found})", source, line, name)


def _row_record(
    header: list[str], cells: list[str], kind: ElementType, source: str, line: int, log: ProblemLog
) -> Iterator[Record]:
    values: dict[str, Any] = {}
    good = True
    for name, cell in zip(header, cells, strict=True):
        if not cell:
            continue
        try:
            values[name] = cell_value(cell, name, kind.model)
        except ValueError as error:
            log.add(str(error), source, line, name)
            good = False

    def line_of(path: ValuePath) -> int:
        return line

    if good:
        yield Record(kind.name, values, source, line_of)


def read_rows(text: str, source: str, log: ProblemLog) -> Iterator[tuple[int, list[str]]]:
    """Yields line and cells of every row that is not blank, the header first.

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
    """Returns origin and arguments of a list or mapping type, also where None is allowed."""
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
