"""Turning names as systems write them into words as people write them."""

from __future__ import annotations

import re

# A capital that starts a word after a small letter or digit, or that ends a run of capitals ("HTTPServer").
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATORS = re.compile(r"[\s_\-./:]+")


def split_words(name: str) -> str:
    """Splits ``look_up_records``, ``lookUpRecords`` or ``core.look-up`` into words, separated by single spaces."""
    return _SEPARATORS.sub(" ", _WORD_START.sub(" ", name)).strip()
