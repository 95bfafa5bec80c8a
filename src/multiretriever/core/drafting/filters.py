"""Encoded conditions from words: what is empty, how old, how many, and which choices are named."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from multiretriever.core.drafting.fields import BOOLEANS, DATES, NUMBERS, Choice, Fields
from multiretriever.core.drafting.words import NUMBER, SPAN, number, span, stem, stems_of
from multiretriever.core.elements import Field, Table
from multiretriever.core.flow_references import Condition

_EMPTY = re.compile(
    r"(?:\b(?:do|does|did|have|has)\s*(?:not|n't)\s+(?:yet\s+)?have|\bwithout|\bw/o|\bwith no|\bhav(?:e|ing) no|\bhas no|"
    r"\black(?:s|ing)?|"
    r"\bmissing|\bno)\s+(?:an?\s+|any\s+|the\s+)?([\w ]+?)(?=$|,|\.|\?|\)| and | or | for | in | yet| that | which )",
    re.IGNORECASE,
)
_PREPOSITIONS = frozenset({"to", "by", "on", "at", "in", "for", "of"})
_NOBODY = re.compile(r"\b(?:nobody|no one|no-one)\s+(?:is|was|has been|has)?\s*(\w+)", re.IGNORECASE)
_UN = re.compile(r"\b(?:un|not yet |not )(\w{4,})", re.IGNORECASE)
_FILLED = re.compile(
    r"\b(?:with|having|has|have)\s+(?:an?\s+|the\s+)?([a-z][\w ]{2,24}?)(?=$|,|\.| and | or | that )", re.IGNORECASE
)
_LATELY = re.compile(
    rf"\b(?:in|within|during|over|of) the (?:last|past|previous)\s+({SPAN}|{{}})".replace("{}", r"\w+"), re.IGNORECASE
)
_SOON = re.compile(
    rf"\b(?:(?:with)?in|during|over|for|less than|fewer than|under)\s+(?:the\s+)?(?:(?:next|coming|"
    rf"following)\s+)?(?:less than\s+)?({SPAN})",
    re.IGNORECASE,
)
_COMING = re.compile(
    r"\b(?:expir\w*|due|ends?|ending|runs? out|running out|left|start\w*|begin\w*|next|coming|renew\w*|valid|until|open\w*)\b",
    re.IGNORECASE,
)
_LONG = re.compile(
    rf"\b(?:older than|longer than|more than|over|for(?: more than| over| at least| the last)?|since|at least|in|"
    rf">)\s+({SPAN})(?:\s+(?:ago|old))?|({SPAN})\s+(?:ago|old)\b",
    re.IGNORECASE,
)
_PASSED = re.compile(
    r"\b(?:overdue|past (?:due|their|its|the)|(?:lies|lie|is|are) in the past|expired|ran out|run out|(?:has|have) passed|passed|"
    r"after (?:their|its|the) (?:due |end )?date|too late|late|behind)\b",
    re.IGNORECASE,
)
_TODAY = re.compile(r"\b(today|tomorrow|yesterday|this (?:week|month)|next (?:week|month))\b", re.IGNORECASE)
_COMPARED = re.compile(
    r"(?P<more>more than|above|over|greater than|higher than|exceed(?:s|ing)?|beyond|larger than|>)|(?P<less>less than|"
    r"fewer than|below|under|lower than|<)|"
    r"(?P<least>at least|>=|minimum)|(?P<most>at most|<=|up to|maximum)",
    re.IGNORECASE,
)
_COUNT = re.compile(
    rf"\s*(?:of\s+|by\s+)?({NUMBER})\b(?!\s*(?:minute|min|hour|day|week|month|quarter|year|working|business))", re.IGNORECASE
)
_SIGNS = {"more": ">", "less": "<", "least": ">=", "most": "<="}


def conditions_of(text: str, table: Table, fields: Fields) -> list[Condition]:
    """Returns the conditions on the records of a table that a text speaks of, each field once."""
    found: dict[str, Condition] = {}
    for condition in _all(text, table, fields):
        found.setdefault(condition.field, condition)
    return list(found.values())


def _all(text: str, table: Table, fields: Fields) -> Iterator[Condition]:
    yield from _empty(text, table, fields)
    yield from _chosen([*fields.choices(text, table), *fields.flags(text, table)])
    yield from _dated(text, table, fields)
    yield from _compared(text, table, fields)


def _chosen(choices: list[Choice]) -> Iterator[Condition]:
    by_field: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for choice in choices:
        by_field[choice.field.name, choice.negated].append(choice.value)
    for (name, negated), values in by_field.items():
        if values == ["true"]:
            yield Condition(name, "=", "false" if negated else "true")
        elif len(values) > 1:
            yield Condition(name, "NOT IN" if negated else "IN", ",".join(values))
        else:
            yield Condition(name, "!=" if negated else "=", values[0])


def _empty(text: str, table: Table, fields: Fields) -> Iterator[Condition]:
    for match in _EMPTY.finditer(text):
        words = match.group(1).strip()
        found = _titled(words, table, fields)
        if found is None and match.group().lower().startswith(("no ", "missing", "lack")) and len(words.split()) > 1:
            continue
        found = found or fields.first(words, table)
        if found is not None:
            yield Condition(found.name, "ISEMPTY")
    for pattern in (_NOBODY, _UN):
        for match in pattern.finditer(text):
            wanted = stem(match.group(1).lower())
            left_out = BOOLEANS | NUMBERS | (DATES if any(_spans(text)) else frozenset())
            holders = (item for item in fields.of(table) if not item.choices and item.data_type.lower() not in left_out)
            found = next((item for item in holders if wanted in stems_of(item.title)), None)
            if found is not None:
                yield Condition(found.name, "ISEMPTY")


def _titled(words: str, table: Table, fields: Fields) -> Field | None:
    """Returns the field that all of a text is the title of, or the last word of its title."""
    wanted = stems_of(words)
    titles = [(_bare(stems_of(item.title)), item) for item in fields.of(table)]
    return next((item for title, item in titles if title == wanted), None) or next(
        (item for title, item in titles if wanted and title and title[-1] == wanted[-1]), None
    )


def _bare(title: list[str]) -> list[str]:
    """Returns a title without the preposition at its end: "Assigned to" is what assignees stand in."""
    return title[:-1] if len(title) > 1 and title[-1] in _PREPOSITIONS else title


def _dated(text: str, table: Table, fields: Fields) -> Iterator[Condition]:
    for operator, value in _spans(text):
        found = fields.first(text, table, DATES)
        if found is not None:
            yield Condition(found.name, operator, value)


def _spans(text: str) -> Iterator[tuple[str, str]]:
    if match := _LATELY.search(text):
        yield "AFTER", f"{span(match.group(1)) or '1 ' + match.group(1)} ago"
    elif _COMING.search(text) and (match := _SOON.search(text)):
        yield "BEFORE", f"{span(match.group(1))} from now"
    elif match := _LONG.search(text):
        yield "BEFORE", f"{span(match.group())} ago"
    elif _PASSED.search(text):
        yield "BEFORE", "now"
    elif match := _TODAY.search(text):
        yield "=", match.group(1).lower()


def _compared(text: str, table: Table, fields: Fields) -> Iterator[Condition]:
    for match in _COMPARED.finditer(text):
        count = _COUNT.match(text, match.end())
        if count is None or count.group(1).lower() in ("a", "an"):
            continue
        around = text[max(0, match.start() - 40) : count.end() + 30]
        found = fields.first(around, table, NUMBERS)
        if found is not None:
            sign = next(name for name, value in match.groupdict().items() if value)
            yield Condition(found.name, _SIGNS[sign], number(count.group(1)))
