"""Which values a record gets, from words such as "set the priority to high", "assign it to the network team", "close them"."""

from __future__ import annotations

import re

from multiretriever.core.drafting.fields import DATES, Fields
from multiretriever.core.drafting.outline import Clause
from multiretriever.core.drafting.words import span, stem, stems_of, words_of
from multiretriever.core.elements import Field, Table

_SET = re.compile(
    r"^(?:set|change|move|put|switch|mark|bring|update|correct|flag)\s+(?:the\s+|its\s+|their\s+|his\s+|"
    r"her\s+)?(?P<field>.+?)\s+(?:to|as|on|=)\s+"
    r"(?:the\s+|an?\s+)?(?P<value>[^,;]+)$",
    re.IGNORECASE,
)
_ASSIGN = re.compile(
    r"^(?:re)?assign\w*\b.*?\bto\s+(?:the\s+)?(?P<to>[^,;]+)$|^(?:hand|give|pass)\b.*?\bto\s+(?:the\s+)?(?P<team>[^,;]+)$",
    re.IGNORECASE,
)
_FOR = re.compile(r"\bfor\s+(?:the\s+)?(?P<to>[\w' -]+?)(?=$|,|\.|\s+(?:to|with|so|that|which|in|on|and)\b)", re.IGNORECASE)
_WHEN = re.compile(r"\b(today|tomorrow|now)\b", re.IGNORECASE)
_DATED = re.compile(r"\b(?:date|time|day|when|moment)\b", re.IGNORECASE)
_SUBJECTS = ("short description", "subject", "title", "summary", "name", "headline", "topic", "description")
_TEXTS = ("string", "text", "varchar", "char", "")
_TEAM = frozenset(map(stem, ("team", "group", "desk", "department", "office", "operations", "unit", "board")))


def values_of(clause: Clause, table: Table, fields: Fields) -> dict[str, str]:
    """Returns the values of the fields of a table that a clause speaks of."""
    values: dict[str, str] = {}
    assigned, rest = _assigned(clause, table, fields)
    for choice in (*fields.choices(rest, table), *fields.flags(rest, table)):
        if not choice.negated or choice.value == "true":
            values.setdefault(choice.field.name, "false" if choice.negated else choice.value)
    for name, value in (*_set(clause, table, fields), *assigned, *_on_a_day(clause, table, fields)):
        values.setdefault(name, value)
    if clause.action == "create":
        return {**_subject(clause, table, fields), **values}
    reached = None if values else fields.brought_to(clause.verb, table)
    if reached is not None:
        values[reached.field.name] = reached.value
    return values


def _set(clause: Clause, table: Table, fields: Fields) -> list[tuple[str, str]]:
    """Reads "set the X to Y": Y for the field that X names; or for the state, where X is the record itself."""
    match = _SET.match(clause.text)
    if match is None:
        return []
    wanted = stems_of(match.group("field"))
    named = [item for item in fields.of(table) if wanted and _ends_alike(stems_of(item.title), wanted)]
    if not named:
        return []
    value = match.group("value").strip()
    return [(named[0].name, _choice_like(value, named[0]) or value)]


def _ends_alike(title: list[str], wanted: list[str]) -> bool:
    return bool(title) and (title == wanted or wanted[-len(title) :] == title or title[-len(wanted) :] == wanted)


def _choice_like(value: str, item: Field) -> str | None:
    wanted = set(stems_of(value))
    return next((choice for choice in item.choices if wanted & set(stems_of(choice))), None)


def _assigned(clause: Clause, table: Table, fields: Fields) -> tuple[list[tuple[str, str]], str]:
    """Reads "assign it to X", "open a task for X": whoever gets the work; and the words without that."""
    match = _ASSIGN.match(clause.text) or (_FOR.search(clause.text) if clause.action == "create" else None)
    if match is None:
        return [], clause.text
    to = next(value for value in match.groupdict().values() if value).strip()
    holders = [item for item in fields.of(table) if item.reference and stem("assigned") in stems_of(f"{item.title} {item.name}")]
    if not holders:
        return [], clause.text
    team = set(stems_of(to)) & _TEAM
    teams = [item for item in holders if set(stems_of(f"{item.title} {item.name}")) & _TEAM]
    chosen = (teams if team else [item for item in holders if item not in teams]) or holders
    if clause.action == "create" and not team:
        return [], clause.text
    return [(chosen[0].name, to)], clause.text[: match.start(match.lastindex or 0)]


def _on_a_day(clause: Clause, table: Table, fields: Fields) -> list[tuple[str, str]]:
    """Reads "with due date tomorrow", "note the date": a field of a date whose name is said."""
    words = stems_of(clause.text)
    for item in fields.of(table):
        title = stems_of(item.title)
        if item.data_type.lower() in DATES and title and " ".join(title) in " ".join(words):
            match = _WHEN.search(clause.text)
            later = span(clause.text)
            # "open" is the stem of "Opened" too, and says nothing of its date.
            if match or later or _DATED.search(clause.text):
                return [(item.name, match.group(1).lower() if match else f"{later} from now" if later else "now")]
    return []


def _subject(clause: Clause, table: Table, fields: Fields) -> dict[str, str]:
    """What a new record is about, in the words of the clause."""
    titles = {" ".join(words_of(item.title)): item for item in fields.of(table) if item.data_type.lower() in _TEXTS}
    found = next((titles[name] for name in _SUBJECTS if name in titles), None)
    return {found.name: clause.text} if found is not None else {}
