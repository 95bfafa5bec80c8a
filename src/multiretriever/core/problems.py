"""Turning validation errors of pydantic into problems that a person can act on."""

from __future__ import annotations

from collections.abc import Callable

import pydantic

from multiretriever.core.errors import Problem

Path = tuple[str | int, ...]
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
    line: Callable[[Path], int | None] = lambda path: None,
    prefix: Path = (),
) -> list[Problem]:
    """Turns each error of a validation into a problem.

    Args:
        error: What pydantic raised.
        source: File or other origin of the value.
        line: Gives the line of a path in the source.
        prefix: Path of the validated value in the source.
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


def field_path(path: Path) -> str | None:
    """Writes a path as ``steps[3].inputs[0].name``; None for the empty path."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or None
