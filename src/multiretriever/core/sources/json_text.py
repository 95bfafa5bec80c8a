"""Reading JSON strictly, with the line of every value.

Refused: duplicate keys (the last would win in silence), NaN and infinities, lone surrogates, deep nesting. The lines are worked
out only when somebody asks for one, so that a faultless file costs one fast pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, Protocol

from multiretriever.core.errors import Problem
from multiretriever.core.records import Path
from multiretriever.core.sources.json_walk import faults, walk
from multiretriever.core.yaml_io import MAX_DEPTH

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Located(Protocol):
    """A parsed document whose values know their lines, whatever it was written in."""

    @property
    def value(self) -> Any:
        """Its mappings, lists and scalars."""

    def line(self, path: Path) -> int | None:
        """Returns the line of a path, or of the nearest path around it."""


@dataclass(frozen=True)
class JsonDocument:
    """One JSON value and the text that it stands in.

    Attributes:
        value: Its mappings, lists and scalars.
        text: What it was read from.
        first_line: Line of the text's start in its file.
    """

    value: Any
    text: str
    first_line: int = 1

    @cached_property
    def _lines(self) -> dict[Path, int]:
        lines: dict[Path, int] = {}
        for path, line, _ in walk(self.text, self.first_line):
            lines.setdefault(path, line)
        return lines

    def line(self, path: Path) -> int | None:
        """Returns the line of a path, or of the nearest path around it."""
        return next((self._lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self._lines), None)


class _SuspectError(ValueError):
    """Something that Python's parser would let pass."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _SuspectError
    return values


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise _SuspectError
    return number


def _refuse(text: str) -> NoReturn:
    raise _SuspectError


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)


def parse_json(text: str, source: str, first_line: int = 1) -> JsonDocument | list[Problem]:
    """Parses one JSON value, or returns all problems that stand against it."""
    try:
        try:
            value = _DECODER.decode(text)
            _check_surrogates(text, value)
        except _SuspectError:
            json.loads(text)  # Where the text is broken as well, that is what stands in the way.
            return list(faults(text, source, first_line))
    except json.JSONDecodeError as error:
        return [Problem(f"not JSON: {error.msg} (column {error.colno})", source, first_line + error.lineno - 1)]
    except RecursionError:
        return [Problem(f"nested deeper than {MAX_DEPTH} levels", source, first_line)]
    except ValueError as error:  # A number of thousands of digits.
        return [Problem(f"not JSON that can be read: {error}", source, first_line)]
    if _is_deep(value):
        return [Problem(f"nested deeper than {MAX_DEPTH} levels", source, first_line)]
    return JsonDocument(value, text, first_line)


def parse_lines(text: str, source: str, problems: list[Problem]) -> Iterator[tuple[int, JsonDocument]]:
    """Gives each value of JSON Lines with its line, from 1, without blank lines; what is not JSON goes to ``problems``."""
    # Only "\n" ends a line: other separators that Python knows, such as U+2028, may stand inside strings.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        document = parse_json(line, source, number)
        if isinstance(document, list):
            problems.extend(document)
        else:
            yield number, document


def _check_surrogates(text: str, value: Any) -> None:
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _SuspectError from None


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True
