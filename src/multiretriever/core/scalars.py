"""Scalars of YAML that keep the text they were written as.

YAML turns ``no`` into false, ``1.10`` into 1.1 and ``12:30:45`` into 45045. Which of the two was meant, text or value, is
known only where it is used: a name is text, a flag is a value. So the loader keeps the text, and models resolve it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator


class PlainScalar(str):
    """The text of an unquoted YAML scalar."""

    __slots__ = ()


# Longer ones cannot come back from a number unchanged (and Python refuses to parse thousands of digits).
_MAX_DIGITS = 24
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {"true": True, "True": True, "TRUE": True, "false": False, "False": False,
                                  "FALSE": False, "null": None, "Null": None, "NULL": None, "~": None, "": None}  # fmt: skip


def resolve_scalar(text: PlainScalar) -> str | int | float | bool | None:
    """Resolves a scalar by YAML 1.2's core schema, except that a number keeps its text where its value would lose it.

    ``no`` and ``12:30`` stay text; ``1.5`` is a number; ``1.10`` and ``007`` stay text, since 1.1 and 7 are other texts.
    """
    raw = str(text)
    if raw in _WORDS:
        return _WORDS[raw]
    if len(raw) <= _MAX_DIGITS and _INTEGER.fullmatch(raw) and str(int(raw)) == raw:
        return int(raw)
    # PyYAML writes 1e+20 as 1.0e+20, since YAML 1.1 knows no exponent without a point.
    if len(raw) <= _MAX_DIGITS and _FLOAT.fullmatch(raw) and repr(float(raw)) in (raw, raw.replace(".0e", "e")):
        return float(raw)
    return raw


def resolve_scalars(value: Any) -> Any:
    """Resolves every plain scalar inside nested lists and mappings."""
    if isinstance(value, PlainScalar):
        return resolve_scalar(value)
    if isinstance(value, dict):
        return {str(key): resolve_scalars(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve_scalars(item) for item in value]
    return value


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, PlainScalar) else value


AS_TEXT = BeforeValidator(_as_text)
"""What makes a string of an unquoted YAML scalar; constraints of the string stand before it, or they would see it unstripped."""

Text = Annotated[str, AS_TEXT]
"""A string for which an unquoted YAML scalar stands as it was written."""
