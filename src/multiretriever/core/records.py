"""What a source gives: raw values with the place that they came from, not yet checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from multiretriever.core.errors import Problem

Path = tuple[str | int, ...]


def _no_line(path: Path) -> int | None:
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
    line: Callable[[Path], int | None] = _no_line

    @property
    def place(self) -> str:
        """Where the record stands, as ``file:line``."""
        line = self.line(())
        return self.source if line is None else f"{self.source}:{line}"

    def problem(self, message: str, field: str | None = None, path: Path | None = None) -> Problem:
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
