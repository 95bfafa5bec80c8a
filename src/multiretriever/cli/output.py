"""What commands write: results to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.cells import cell_len, set_cell_size

# What a terminal acts on instead of showing it: control characters, separators of lines, changes of direction, half characters.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Windows reports a closed pipe as EINVAL.
_CLOSED = (errno.EPIPE, errno.EINVAL)
_GAP = "  "
_MORE = "..."
_LEAST_WIDTH = 8


def clean(text: str) -> str:
    """Returns text in which what a terminal would act on is written as an escape; line ends and tabs stay."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    """Returns text for a cell of a table: cleaned, white space as single spaces."""
    return clean(" ".join(text.split()))


def note(text: str) -> None:
    """Writes to standard error; a reader that has gone is no reason to fail."""
    with contextlib.suppress(OSError):
        typer.echo(clean(text), err=True)


def show_json(value: Mapping[str, Any]) -> None:
    """Writes one JSON object to standard output; characters that its encoding lacks are escaped, so that nothing is lost."""
    text = json.dumps(value, indent=2, ensure_ascii=not _is_unicode())
    write(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def show_table(header: Sequence[str], rows: Sequence[Sequence[str | int | float]], flexible: Sequence[int] = (-1,)) -> None:
    """Writes columns to standard output; on a terminal the ``flexible`` ones are shortened to its width, elsewhere nothing is."""
    table = [[name.upper() for name in header], *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    right = [bool(rows) and isinstance(value, int | float) for value in (rows[0] if rows else header)]
    if sys.stdout.isatty():
        _fit(widths, flexible, shutil.get_terminal_size().columns - len(_GAP) * (len(widths) - 1))
    write("\n".join(_row(cells, widths, right) for cells in table))


def _cell(value: str | int | float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else one_line(str(value))


def _fit(widths: list[int], flexible: Sequence[int], room: int) -> None:
    while sum(widths) > room:
        widest = max(flexible, key=lambda column: widths[column])
        if widths[widest] <= _LEAST_WIDTH:
            return
        widths[widest] -= 1


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    return _GAP.join(_sized(*column) for column in zip(cells, widths, right, strict=True)).rstrip()


def _sized(cell: str, width: int, right: bool) -> str:
    if cell_len(cell) > width:
        cell = set_cell_size(cell, width - len(_MORE)).rstrip() + _MORE
    padding = " " * (width - cell_len(cell))
    return padding + cell if right else cell + padding


def write(text: str) -> None:
    """Writes lines to standard output. When its reader has gone (``| head``), the rest is dropped without a word.

    Raises:
        MultiRetrieverError: It cannot be written, as on a full disk.
    """
    if sys.stdout is None:  # closed by the caller
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno not in _CLOSED:
            from multiretriever.core import MultiRetrieverError

            raise MultiRetrieverError(f"the result cannot be written: {error.strerror}") from error


def _is_unicode() -> bool:
    return sys.stdout is None or (sys.stdout.encoding or "utf-8").lower().startswith("utf")
