"""Elements in CSV files, one type a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from multiretriever.core.errors import ElementTypeError
from multiretriever.core.records import Path as ValuePath
from multiretriever.core.records import ProblemLog, Record
from multiretriever.core.registry import ElementType, element_type
from multiretriever.core.sources.csv_cells import cell_value, read_rows
from multiretriever.core.sources.files import list_folder, text_of


class CsvSource:
    """A CSV file named after an element type (``steps.csv``, ``step.csv``), or a folder of such files.

    The header names attributes; further columns become metadata, and empty cells are left out. ``|`` separates the values of a
    list.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives a record for every row; what is wrong goes to the log with its file and line."""
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
        return  # What stands against the first row is in the log.
    for number, name in enumerate(header, start=1):
        if not name:
            log.add(f"column {number} has no header", source, line)
    for name, count in Counter(filter(None, header)).items():
        if count > 1:
            log.add(f"the header {name!r} stands {count} times; one column would hide the other", source, line, name)
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
