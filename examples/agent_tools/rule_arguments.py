"""Filling in the parameters of an operation from what somebody wrote, by rules.

Nothing is made up: a value stands in the text, or the parameter stays empty. What the rules cannot see, such as a title that is
not in quotes, has to be asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b|\b(?:today|tomorrow|yesterday)\b", re.IGNORECASE)
_TIME = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b")
_ID = re.compile(r"\b[A-Z]{2,5}-\d+\b")
_NUMBER = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?(?![\w-]|\.\d)")
_QUOTED = re.compile(r'"([^"]+)"')
_REASON = re.compile(r"\b(?:because|since|as|for the reason that)\s+(.+?)\s*(?:[.;!?]|$)", re.IGNORECASE | re.MULTILINE)
_EXAMPLE = re.compile(r"such as ([A-Z]+)-\d")
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}


@dataclass
class _Found:
    """What stands in a text, each to be used once."""

    text: str
    emails: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    times: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    quoted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rest = self.text
        # What was read is taken out, so that the digits of a date are no number.
        for pattern, values in (
            (_QUOTED, self.quoted),
            (_EMAIL, self.emails),
            (_ID, self.ids),
            (_DATE, self.dates),
            (_TIME, self.times),
            (_NUMBER, self.numbers),
        ):
            values.extend(match[pattern.groups == 1] for match in pattern.finditer(rest))
            rest = pattern.sub(" ", rest)
        self.dates = [_day(value) for value in self.dates]


def _day(text: str) -> str:
    shift = _DAYS.get(text.lower())
    return text if shift is None else (date.today() + timedelta(days=shift)).isoformat()


def fill_arguments(parameters: Mapping[str, Any], text: str) -> tuple[dict[str, Any], list[str]]:
    """Returns the arguments that stand in a text, and the names of the required ones that do not.

    Args:
        parameters: JSON schema of the arguments.
        text: What the user wrote.
    """
    found = _Found(text)
    properties: Mapping[str, Mapping[str, Any]] = parameters.get("properties", {})
    required = [name for name in parameters.get("required", []) if name in properties]
    arguments: dict[str, Any] = {}
    for name in [*required, *(name for name in properties if name not in required)]:
        value = _value(name, properties[name], found, due=name in required)
        if value is not None:
            arguments[name] = value
    return arguments, [name for name in required if name not in arguments]


def _value(name: str, schema: Mapping[str, Any], found: _Found, *, due: bool) -> Any:
    kind = schema.get("type")
    if "enum" in schema:
        return next((choice for choice in schema["enum"] if _has_word(str(choice), found.text)), None)
    if schema.get("format") == "email":
        return _next(found.emails)
    named = due or any(_has_word(word, found.text) for word in re.split(r"[_\W]", name) if len(word) > 2)
    if not named:
        return None
    if schema.get("format") in ("date", "date-time"):
        return _next(found.dates) if schema["format"] == "date" else _moment(found)
    if kind in ("number", "integer"):
        return _number(found, whole=kind == "integer")
    if kind == "boolean":
        return True if re.search(r"\byes\b", found.text, re.IGNORECASE) else None
    return _text(name, schema, found) if kind == "string" else None


def _next(values: list[str]) -> str | None:
    return values.pop(0) if values else None


def _moment(found: _Found) -> str | None:
    if not (found.dates and found.times):
        return None
    hours, minutes = found.times.pop(0).split(":")
    return f"{found.dates.pop(0)}T{int(hours):02}:{minutes}:00Z"


def _number(found: _Found, *, whole: bool) -> int | float | None:
    for place, text in enumerate(found.numbers):
        if not whole or "." not in text:
            del found.numbers[place]
            return int(text) if "." not in text else float(text)
    return None


def _text(name: str, schema: Mapping[str, Any], found: _Found) -> str | None:
    example = _EXAMPLE.search(schema.get("description", ""))
    if example is not None or name.endswith(("Id", "_id", "_number")):
        fits = [value for value in found.ids if example is None or value.startswith(f"{example[1]}-")]
        if fits:
            found.ids.remove(fits[0])
        return next(iter(fits), None)
    if name in ("reason", "comment") and (reason := _REASON.search(found.text)):
        return reason[1]
    return _next(found.quoted)


def _has_word(word: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word.replace('_', ' '))}(?!\w)", text, re.IGNORECASE) is not None
