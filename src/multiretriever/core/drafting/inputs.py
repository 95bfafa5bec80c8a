"""What a drafted step is given."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from multiretriever.core.drafting.fields import Fields
from multiretriever.core.drafting.filters import conditions_of
from multiretriever.core.drafting.outline import Clause
from multiretriever.core.drafting.values import values_of
from multiretriever.core.drafting.words import WEEKDAYS, number, span, words_of
from multiretriever.core.elements import Step, StepInput, Table
from multiretriever.core.flow_references import write_conditions

_CLOCK = re.compile(r"\b(?:at|from|around|before)?\s*(\d{1,2})(?:[:.](\d\d))?\s*(am|pm|o'?clock|h)?\b", re.IGNORECASE)
_HOURS = {"midnight": "00:00", "noon": "12:00", "night": "02:00", "morning": "08:00", "evening": "19:00", "afternoon": "14:00"}
_DAY = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)\b|\bday (\d{1,2})\b", re.IGNORECASE)
_QUOTED = re.compile(r"[\"\u201c\u201d']([^\"\u201c\u201d']{2,80})[\"\u201c\u201d']|(?<!\w)#([\w-]+)")
_FIGURE = re.compile(r"(?<![\w:.])(\d+)(?![\w:.]|\s*(?:am|pm))")


@dataclass(frozen=True)
class Given:
    """What is at hand when a step is filled in.

    Attributes:
        clause: What it is for.
        table: The table that it works on; None where none is known.
        record: The record at hand, as flows refer to it; empty where there is none.
        records: The list at hand; empty where there is none.
    """

    clause: Clause
    table: Table | None = None
    record: str = ""
    records: str = ""


def fill(step: Step, given: Given, fields: Fields) -> dict[str, Any]:
    """Returns the inputs of a step. A required one of which nothing is known is left open: ``{{input.NAME}}``."""
    values: dict[str, Any] = {}
    texts = iter(_QUOTED.findall(given.clause.text))
    for item in step.inputs:
        value = _value(item, given, fields)
        if value is None and item.required and item.type in ("string", "text"):
            value = "".join(next(texts, ("", ""))) or None
        if value is not None:
            values[item.name] = value
        elif item.required:
            values[item.name] = f"{{{{input.{item.name}}}}}"
    return values


def _value(item: StepInput, given: Given, fields: Fields) -> Any:
    if item.type in ("table", "conditions", "values", "field"):
        return _of_table(item, given, fields)
    if item.type == "record":
        return (given.record or None) if item.required else None
    if item.type in ("records", "list", "array"):
        return (given.records or None) if item.required else None
    found: Callable[[str, StepInput], Any] | None = _BY_TYPE.get(item.type)
    return found(given.clause.text, item) if found is not None else None


def _of_table(item: StepInput, given: Given, fields: Fields) -> Any:
    if given.table is None:
        return None
    if item.type == "table":
        return given.table.name if item.required else None
    if item.type == "conditions":
        return write_conditions(conditions_of(given.clause.text, given.table, fields)) or None
    if item.type == "values":
        return values_of(given.clause, given.table, fields) or None
    known = fields.ranked(given.clause.text, given.table) if item.required else []
    return known[0].name if known else None


def _duration(text: str, _: StepInput) -> str | None:
    return span(text) or None


def _choice(text: str, item: StepInput) -> str | None:
    """A weekday, or one of the words that the description of the input lists."""
    said = {word.removesuffix("s") for word in words_of(text)}
    day = next((day for day in WEEKDAYS if day in said), None)
    if day is not None and ("day" in item.name or "day" in item.description.lower()):
        return day
    listed = re.findall(r"\w+", item.description)
    return next((word for word in listed if item.required and len(word) > 3 and word.lower() in said), None)


def _integer(text: str, item: StepInput) -> int | None:
    if not item.required:
        return None
    if "day" in words_of(item.name) or "month" in words_of(item.name):
        match = _DAY.search(text)
        if match is not None:
            return int(match.group(1) or match.group(2))
        return 1 if re.search(r"\b(?:first|beginning|start)\b", text, re.IGNORECASE) else None
    match = _FIGURE.search(text)
    return int(number(match.group(1))) if match is not None and len(match.group(1)) < 16 else None


def _time(text: str, item: StepInput) -> str | None:
    """A time of day, for inputs that are named after it."""
    if words_of(item.name)[-1:] != ["time"]:
        return None
    for match in _CLOCK.finditer(text):
        hour = int(match.group(1))
        if (match.group(2) or match.group(3) or match.group().lower().startswith("at")) and hour < 24:
            hour = (
                hour % 12 + 12 * ((match.group(3) or "").lower() == "pm") if match.group(3) in ("am", "pm", "AM", "PM") else hour
            )
            return f"{hour:02}:{match.group(2) or '00'}"
    return next((clock for word, clock in _HOURS.items() if word in text.lower()), None)


_BY_TYPE: dict[str, Callable[[str, StepInput], Any]] = {
    "duration": _duration, "choice": _choice, "integer": _integer, "string": _time, "time": _time,
}  # fmt: skip
