"""Small operations on wording: choices, slots, capitals."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_STARTS = ("if ", "when ", "in case ", "once ", "unless ", "as soon as ", "as long as ", "while ", "where ", "after ")


def choose(text: str, rng: random.Random) -> str:
    """Decides every ``(a|b|)`` in a text."""
    while match := _CHOICE.search(text):
        text = text[: match.start()] + rng.choice(match.group(1).split("|")) + text[match.end() :]
    return tidy(text)


def tidy(text: str) -> str:
    """Removes the spaces that empty choices leave behind."""
    text = re.sub(r"\s+([,;.?!:])", r"\1", re.sub(r"[ \t]+", " ", text))
    text = re.sub(r"\b(a|A) (?=(?!one|uni|use|euro)[aeiou])", r"\1n ", text)
    return re.sub(r"\b(\w+) \1\b", r"\1", text).strip()


def upper_first(text: str) -> str:
    """Gives the first letter a capital."""
    return text[:1].upper() + text[1:]


def is_clause(text: str) -> bool:
    """Whether a condition is a subordinate clause ("if ...") and not a fragment ("small ones")."""
    return text.startswith(_STARTS)


def form_of(text: str, fragments: Sequence[str]) -> str:
    """Returns ``clause`` for text that begins with ``~``, ``fragment`` for noun phrases and questions, else ``verb``."""
    if text.startswith("~"):
        return "clause"
    first = re.split(r"[ ,;:]", text, maxsplit=1)[0]
    if text.endswith("?") or first in fragments or first[:1].isdigit():
        return "fragment"
    return "verb"


def joined(parts: Sequence[str], last: str = " and ") -> str:
    """Joins parts as in "a, b and c"."""
    parts = [part for part in parts if part]
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + last + parts[-1]


def slug(text: str, words: int = 6) -> str:
    """Makes a name such as ``lost_badge_of_a_guest`` from text."""
    found = re.findall(r"[a-z0-9]+", text.lower().replace("'", ""))
    return "_".join(found[:words])


def pronouned(text: str) -> str:
    """Speaks of many where the text speaks of one."""
    text = re.sub(r"\bit\b", "them", text)
    return re.sub(r"\bits\b", "their", text)
