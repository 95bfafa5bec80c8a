"""What a source yields: raw values with the place that they came from, not yet checked, and the problems found on the way."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import pydantic

from multiretriever.core.errors import Problem
from multiretriever.core.yaml_io import ValuePath

LineOf = Callable[[ValuePath], int | None]
# "desciption" is a slip of "description"; "category" is data of the user's own.
_SLIP = 0.86


def _no_line(path: ValuePath) -> int | None:
    return None


def _same_path(path: ValuePath) -> ValuePath:
    return path


@dataclass(frozen=True)
class Record:
    """The raw values of one element.

    Attributes:
        element_type: Name (or plural) of its type.
        values: Its values by key. Keys that the type does not know become metadata.
        source: File, URL or other origin.
        line: Returns the line in the source of a path into ``values``; of the record itself for the empty path.
        path: Returns the path in the source of a path into ``values``. It is what problems name where there is no line.
    """

    element_type: str
    values: Mapping[str, Any]
    source: str
    line: LineOf = _no_line
    path: Callable[[ValuePath], ValuePath] = _same_path

    @property
    def place(self) -> str:
        """Where the record is, as ``file:line``, or as ``file: [3]`` where values have no lines."""
        line, path = self.line(()), field_path(self.path(()))
        return f"{self.source}:{line}" if line is not None else f"{self.source}: {path}" if path else self.source

    def field(self, path: ValuePath) -> str | None:
        """Returns how problems name a path into ``values``."""
        return field_path(path if self.line(()) is not None else self.path(path))

    def problem(self, message: str, *path: str | int) -> Problem:
        """Makes a problem of a path into ``values``; without one, of the record."""
        return Problem(message, self.source, self.line(path), self.field(path))

    def problems(self, error: pydantic.ValidationError) -> list[Problem]:
        """Turns each error of a validation of ``values`` into a problem."""
        return [self.problem(_message(item), *item["loc"]) for item in error.errors(include_url=False)]


@dataclass
class ProblemLog:
    """Collects problems while sources are read, so that all of them are reported at once."""

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
        """Yields the records; what cannot be read goes to the log, and reading goes on."""
        ...


def problems_of(
    error: pydantic.ValidationError, *, source: str, line: LineOf = _no_line, prefix: ValuePath = ()
) -> list[Problem]:
    """Turns each error of a validation into a problem that a person can act on.

    Args:
        error: What pydantic raised.
        source: File or other origin of the value.
        line: Returns the line of a path in the source.
        prefix: Path of the validated value in the source.
    """
    return [
        Problem(_message(item), source, line((*prefix, *item["loc"])), field_path(item["loc"]))
        for item in error.errors(include_url=False)
    ]


_PLAIN_WORDS = {"string_type": "must be text", "string_too_short": "is blank", "extra_forbidden": "is not a known key"}


def _message(item: Mapping[str, Any]) -> str:
    if item["type"] == "missing":
        return "is missing"
    words = _PLAIN_WORDS.get(item["type"]) or item["msg"].removeprefix("Value error, ")
    shown = repr(item["input"])
    return f"{words} (got {shown if len(shown) <= 80 else shown[:77] + '...'})"


def field_path(path: ValuePath) -> str | None:
    """Writes a path as ``steps[3].inputs[0].name``; None for the empty path."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or None


@lru_cache(maxsize=4096)
def near_miss(word: str, known: tuple[str, ...]) -> str | None:
    """Returns the known word that ``word`` is a slip of, if it is one."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=_SLIP)), None)
