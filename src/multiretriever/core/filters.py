"""Filters: equality on scope, table and whatever else the catalog declares."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from multiretriever.core.elements import MAX_INTEGER
from multiretriever.core.errors import FilterError

Where = Mapping[str, str | int | float | bool]


def check_where(where: Any, names: Sequence[str], element_type: str) -> dict[str, str | int | float | bool]:
    """Checks a filter.

    Args:
        where: Values by name; an element must have all of them. None or empty for no filter.
        names: Names that the index can filter on.
        element_type: For messages.

    Raises:
        FilterError: A name is unknown, or a value is no string, number or boolean (Chroma's operators are not taken).
    """
    if where is None:
        return {}
    if not isinstance(where, Mapping):
        raise FilterError(
            f"a filter maps names to values, such as {{'scope': 'core'}} (got {type(where).__name__}: {where!r:.60})"
        )
    for name, value in where.items():
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            hint = f"; was {near[0]!r} meant?" if near else ""
            raise FilterError(
                f"elements of type {element_type!r} cannot be filtered on {name!r}{hint} (known: {', '.join(names)})"
            )
        if not _comparable(value):
            raise FilterError(f"the filter on {name!r} needs one string, finite number of 64 bits or boolean (got {value!r})")
    return dict(where)


def _comparable(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() or value.encode("utf-8", "ignore").decode() == value  # Chroma refuses lone surrogates
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and abs(value) <= MAX_INTEGER


def chroma_where(where: Mapping[str, Any]) -> dict[str, Any] | None:
    """Writes a checked filter the way Chroma takes it: no empty mapping, and several names only under ``$and``.

    A tuple stands for any of its values.
    """
    parts: list[dict[str, Any]] = [
        {name: {"$in": list(value)} if isinstance(value, tuple) else {"$eq": value}} for name, value in where.items()
    ]
    # Chroma takes 2.5 for equal to a stored 2 (it cuts the fraction off for whole numbers), so the 2 is ruled out.
    parts += [{name: {"$ne": int(value)}} for name, value in where.items() if isinstance(value, float) and value % 1]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"$and": parts}
