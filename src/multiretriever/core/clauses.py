"""The clauses of a requirement: the parts of it that ask for something by themselves.

A requirement is searched as a whole and by its clauses. It is cut where sentences and lines end, before list items, and at
commas, semicolons, colons and arrows; never inside of quotes, brackets or ``{{references}}``, nor in numbers ("1.5", "8:30") and
abbreviations of single letters ("e.g.", "p.m.").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# What a stretch that is kept whole opens and closes with; longer ones are taken for an opening that nothing closes.
_PAIRS = (('"', '"'), ("`", "`"), ("“", "”"), ("«", "»"), ("「", "」"), ("(", ")"), ("[", "]"), ("{{", "}}"))
_LONGEST = 300
_WHOLE = "|".join(rf"{re.escape(first)}(?:(?!{re.escape(last)})[^\n]){{0,{_LONGEST}}}{re.escape(last)}" for first, last in _PAIRS)
_QUOTED = rf"(?<!\w)'[^'\n]{{1,{_LONGEST}}}'(?!\w)"
_ITEM = r"(?:\A|\n)[ \t]*(?:[-*•]|(?:\d{1,3}|[A-Za-z])[.)])[ \t]+"
_WIDE = "。、，；：！？"  # noqa: RUF001
_STOP = rf"(?<!\b[^\W\d_])\.(?=\s|\Z)|[,;:!?](?=\s|\Z)|[{_WIDE}]|\n|\s(?:->|=>|→)\s"
_SCAN = re.compile(f"(?P<whole>{_WHOLE}|{_QUOTED})|{_ITEM}|{_STOP}")
_EDGES = " \t\r\n.,;:!?" + _WIDE


@dataclass(frozen=True)
class Clause:
    """A part of a requirement.

    Attributes:
        text: Its words, without the punctuation at its end; ``requirement[start:end]``.
        start: Where it starts in the requirement, in characters.
        end: Where it ends, exclusive.
    """

    text: str
    start: int
    end: int


def split_clauses(text: str) -> tuple[Clause, ...]:
    """Cuts a requirement into its clauses, in order; none for a text without a letter or digit."""
    return tuple(_clauses(text))


def _clauses(text: str) -> Iterator[Clause]:
    start = 0
    for stop, following in (*_stops(text), (len(text), len(text))):
        part = text[start:stop]
        if re.search(r"\w", part):
            kept = part.strip(_EDGES)
            first = start + part.index(kept)
            yield Clause(kept, first, first + len(kept))
        start = following


def _stops(text: str) -> Iterator[tuple[int, int]]:
    """Yields where a clause stops and where the next one starts."""
    for match in _SCAN.finditer(text):
        if match["whole"] is None:
            yield match.span()
