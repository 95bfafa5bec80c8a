"""Encoded conditions, such as ``assigned_toISEMPTY^active=true``: FIELD OPERATOR VALUE joined by ``^`` (and) or ``^OR`` (or)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

OPERATORS = ("ISNOTEMPTY", "ISEMPTY", "NOT IN", "STARTSWITH", "BEFORE", "AFTER", "LIKE", "IN", "!=", ">=", "<=", "=", ">", "<")
_OPERATOR = re.compile("|".join(re.escape(item) for item in OPERATORS))


@dataclass(frozen=True)
class Condition:
    """One comparison.

    Attributes:
        field: Name of the field; the whole text where no operator was found.
        operator: One of ``OPERATORS``; empty where none was found.
        value: What it is compared with.
    """

    field: str
    operator: str = ""
    value: str = ""


def parse_conditions(text: str, known: Collection[str] = ()) -> list[Condition]:
    """Takes encoded conditions apart.

    Args:
        text: The conditions.
        known: Names of fields. A name that is known is not cut at letters that happen to spell an operator.
    """
    parts = [part.removeprefix("OR") for part in text.split("^")]
    return [_parse(part, known) for part in parts if part.strip()]


def _parse(part: str, known: Collection[str]) -> Condition:
    starts = sorted((name for name in known if part.startswith(name)), key=len, reverse=True)
    for name in starts:
        match = _OPERATOR.match(part, len(name))
        if match:
            return Condition(name, match.group(), part[match.end() :])
    match = _OPERATOR.search(part)
    return Condition(part[: match.start()], match.group(), part[match.end() :]) if match else Condition(part)


def write_conditions(conditions: Iterable[Condition]) -> str:
    """Returns encoded conditions that all must hold, in the form that ``parse_conditions`` takes apart."""
    return "^".join(f"{item.field}{item.operator}{item.value}" for item in conditions)
