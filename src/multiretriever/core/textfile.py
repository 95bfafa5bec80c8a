"""Reading text files that somebody else made."""

from __future__ import annotations

import codecs
from pathlib import Path

from multiretriever.core.errors import Problem

MAX_BYTES = 256 * 1024 * 1024
_WIDE_BOMS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def decode_text(data: bytes, source: str) -> str | Problem:
    """Decodes UTF-8 with or without a byte order mark, or returns the problem that stands against it."""
    for bom, encoding in _WIDE_BOMS.items():
        if data.startswith(bom):
            return Problem(f"the file is {encoding}; save it as UTF-8", source)
    if b"\0" in data:
        return Problem("the file is binary (it holds NUL bytes), or UTF-16 without a byte order mark; UTF-8 text is due", source)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Problem(f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8", source, line)


def read_text(path: Path) -> str | Problem:
    """Reads a UTF-8 file of at most ``MAX_BYTES``, or returns the problem that stands against it."""
    source = str(path)
    try:
        with path.open("rb") as file:
            # Never more than the limit, whatever size is told: pipes and devices tell none.
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Problem("there is no such file", source)
    except (OSError, ValueError) as error:
        return Problem(f"the file cannot be read: {getattr(error, 'strerror', None) or error}", source)
    if len(data) > MAX_BYTES:
        return Problem(f"the file has more than {MAX_BYTES:,} bytes, the most that is read: split it", source)
    return decode_text(data, source)
