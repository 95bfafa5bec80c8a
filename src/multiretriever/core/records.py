"""What a source gives: raw values with the place that they came from, not yet checked."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import pydantic

from multiretriever.core.errors import Problem
from multiretriever.core.yaml_io import ValuePath


def _no_line(path: ValuePath) -> int | None:
    return None


@dataclass(frozen=True)
class Record:
    """The raw values of one element.

    Attributes:
        element_type: Name (or plural) of its type.
        values: Its values by key. Keys that the type does not know become metadata.
        source: File, URL or other origin.
        line: Gives the line in the source of a path into ``values``; of the record itself for the empty path.
    """

    element_type: str
    values: Mapping[str, Any]
    source: str
    line: Callable[[ValuePath], int | None] = _no_line

    @property
    def place(self) -> str:
        """Where the record stands, as ``file:line``."""
        line = self.line(())
        return self.source if line is None else f"{self.source}:{line}"

    def problem(self, message: str, field: str | None = None, path: ValuePath | None = None) -> Problem:
        """Makes a problem of this record, at the line of ``path`` (by default of ``field``)."""
        where = path if path is not None else (field,) if field else ()
        return Problem(message, self.source, self.line(where), field)


@dataclass
class ProblemLog:
    """Collects problems while a source is read, so that all of them are reported at once."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, message: str, source: str, line: int | None = None, field: str | None = None) -> None:
        """Adds one problem."""
        self.problems.append(Problem(message, source, line, field))

    def in_order(self) -> list[Problem]:
        """Returns the problems by source, as the sources came, and by line within each."""
        rank = {problem.source: number for number, problem in reversed(list(enumerate(self.problems)))}
        return sorted(self.problems, key=lambda problem: (rank[problem.source], problem.line or 0))


class Source(Protocol):
    """Where a catalog comes from."""

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives the records; what cannot be read goes to the log, and reading goes on."""
        ...


# Turning validation errors of pydantic into problems that a person can act on.

_PLAIN_WORDS = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_too_short": "is blank",
    "extra_forbidden": "is not a known key",
}


def problems_of(
    error: pydantic.ValidationError,
    *,
    source: str,
    line: Callable[[ValuePath], int | None] = lambda path: None,
    prefix: ValuePath = (),
) -> list[Problem]:
    """Turns each error of a validation into a problem.

    Args:
        error: What pydantic raised.
        source: File or other origin of the value.
        line: Gives the line of a path in the source.
        prefix: ValuePath of the validated value in the source.
    """
    return [
        Problem(
            _message(item["type"], item["msg"], item["input"]),
            source,
            line((*prefix, *item["loc"])),
            field_path(item["loc"]),
        )
        for item in error.errors(include_url=False)
    ]


def _message(kind: str, message: str, value: object) -> str:
    if kind == "missing":
        return _PLAIN_WORDS[kind]
    words = _PLAIN_WORDS.get(kind) or message.removeprefix("Value error, ")
    shown = repr(value)
    return f"{words} (got {shown if len(shown) <= 80 else shown[:77] + '...'})"


def field_path(path: ValuePath) -> str | None:
    """Writes a path as ``steps[3].inputs[0].name``; None for the empty path."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or None


# "desciption" is a slip of "description"; "category" is data of the user's own.
_SLIP = 0.86


@lru_cache(maxsize=4096)
def near_miss(word: str, known: tuple[str, ...]) -> str | None:
    """Returns the known word that ``word`` is a slip of, if it is one."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=_SLIP)), None)
