"""Turning names as systems write them into words as people write them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# A capital that starts a word after a small letter or digit, or that ends a run of capitals ("HTTPServer").
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATORS = re.compile(r"[\s_\-./:]+")


def split_words(name: str) -> str:
    """Splits ``look_up_records``, ``lookUpRecords`` or ``core.look-up`` into words, separated by single spaces."""
    return _SEPARATORS.sub(" ", _WORD_START.sub(" ", name)).strip()


def similar_names(name: str, known: Iterable[str], *, number: int = 3, cutoff: float = 0.5) -> tuple[str, ...]:
    """Returns the known names that are most similar to a name, most similar first.

    Args:
        name: The name.
        known: Names that exist.
        number: How many at most.
        cutoff: Least similarity (Ratcliff-Obershelp), 0 to 1.
    """
    return tuple(difflib.get_close_matches(name, list(dict.fromkeys(known)), n=number, cutoff=cutoff))
