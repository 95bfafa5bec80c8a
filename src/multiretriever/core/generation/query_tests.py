"""Reading conditions in the words of a request. Rules for English; what is read is cut out of the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from multiretriever.core.generation.query_plan import Ago, Operator, Path, Test
from multiretriever.core.generation.query_words import FieldFinder, called, names_of
from multiretriever.core.names import split_words
from multiretriever.core.sample_rows import affinity, is_date
from multiretriever.grounding.sql_schema import Column

_WORDS = r"([\w' -]+?)(?=$|[,.;?!]| and | or | but | that | which | with | in | of | show)"
_WITHOUT = re.compile(
    r"\b(?:(?:do|does|did)(?:\s+not|n't)\s+have|without|with no|hav(?:e|ing) no|has no|lacks?|missing)\s+"
    rf"(?:an?\s+|any\s+)?{_WORDS}",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"\b([\w']+(?: [\w']+)?)\s+(?:is|are)\s+(not\s+)?(empty|missing|blank|unset|set|filled in)\b", re.IGNORECASE)
_UNASSIGNED = re.compile(r"\b(?:unassigned|not assigned|assigned to nobody)\b", re.IGNORECASE)
_UNITS = {"hour": "hours", "day": "days", "week": "days", "month": "months", "year": "years"}
_SPAN = r"(?:(\d+)\s+)?(hour|day|week|month|year)s?"
_LAST = re.compile(rf"\b(?:(\w+)\s+)?(?:in|within|during|over|for)\s+the\s+(?:last|past|previous)\s+{_SPAN}\b", re.IGNORECASE)
_OLDER = re.compile(rf"\b(?:(\w+)\s+)?(?:older than|more than|over)\s+{_SPAN}(?:\s+(?:ago|old))?\b", re.IGNORECASE)
_SINCE = re.compile(r"\b(\w+)\s+(?:(?:on|at)\s+or\s+)?(since|after|before|until)\s+'?(\d{4}-\d\d-\d\d)'?", re.IGNORECASE)
_SIGNS: dict[str, Operator] = {
    "above": ">", "over": ">", "more than": ">", "greater than": ">", "higher than": ">", "at least": ">=", "below": "<",
    "under": "<", "less than": "<", "fewer than": "<", "lower than": "<", "at most": "<=",
    ">": ">", "<": "<", ">=": ">=", "<=": "<=",
}  # fmt: skip
_SIGN = "|".join(sorted(map(re.escape, _SIGNS), key=len, reverse=True))
_QUOTED = re.compile(
    r"\b([\w ]+?)\s*(?:\b(is not|is|are|equals|contains?|containing|like)|(!?=))?\s*[\"']([^\"']+)[\"']", re.IGNORECASE
)
_OPEN = re.compile(r"\b(still open|open|unfinished|not closed|unresolved)\b", re.IGNORECASE)
_CLOSED = re.compile(r"\b(closed|inactive|not active|finished)\b", re.IGNORECASE)
_OVERDUE = re.compile(r"\b(?:overdue|past due|expired)\b", re.IGNORECASE)
_DAY = re.compile(r"\b(?:(\w+)\s+)?(today|yesterday)\b", re.IGNORECASE)


@dataclass
class TestReader:
    """Reads the conditions in a text.

    Attributes:
        finder: Finds the fields that they are on.
        text: What has not been read yet.
        tests: What was read.
        dropped: Conditions on what no field of the table is.
    """

    __test__ = False  # it is none of pytest's

    finder: FieldFinder
    text: str
    tests: list[Test] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def read(self) -> tuple[Test, ...]:
        """Reads all conditions that it knows, plainest forms first."""
        for rule in (self._quoted, self._emptiness, self._dates, self._numbers, self._choices, self._states, self.flags):
            rule()
        once: dict[tuple[str, str], Test] = {}
        for test in self.tests:
            once.setdefault((test.path.name, test.operator), test)
        return tuple(once.values())

    def _add(self, path: Path | None, operator: Operator, value: str | int | float | Ago | tuple[str, ...] | None = None) -> bool:
        if path is not None:
            self.tests.append(Test(path, operator, value))
        return path is not None

    def _cut(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Gives each place of a pattern, once, and cuts it out of the text."""
        while match := pattern.search(self.text):
            self.text = f"{self.text[: match.start()]} {self.text[match.end() :]}"
            yield match

    def _quoted(self) -> None:
        for match in self._cut(_QUOTED):
            words = match[1].split()
            ends = (" ".join(words[start:]) for start in range(len(words)))
            path = next((found for text in ends if (found := self.finder.named(text) or self.finder.over_reference(text))), None)
            verb = (match[2] or match[3] or "is").lower()
            operator: Operator = "contains" if verb.startswith(("contain", "like")) else "!=" if verb in ("is not", "!=") else "="
            self._add(self._shown(path) if path else None, operator, match[4])

    def _shown(self, path: Path) -> Path:
        """What a text is compared with where the field is a reference: the name of what it leads to."""
        target = self.finder.schema.get(path.column.references or "") if path.via is None else None
        names = ("name", "title", "number", "user_name", "short_description")
        column = next((found for name in names if target and (found := target.column(name))), None)
        return Path(column, path.column) if column else path

    def _emptiness(self) -> None:
        for match in self._cut(_UNASSIGNED):
            self._empty("assigned to", "is empty", match[0])
        for match in self._cut(_EMPTY):
            negative = bool(match[2]) != (match[3].lower() in ("set", "filled in"))
            self._empty(match[1], "is not empty" if negative else "is empty", match[0])
        for match in self._cut(_WITHOUT):
            self._empty(match[1], "is empty", match[0])

    def _empty(self, words: str, operator: Operator, said: str) -> None:
        if not self._add(self.finder.find(words), operator):
            self.dropped.append(said.strip())

    def _dates(self) -> None:
        for match in self._cut(_LAST):
            self._moment(match[1], ">=", int(match[2] or 1), match[3])
        for match in self._cut(_OLDER):
            self._moment(match[1], "<", int(match[2] or 1), match[3])
        for match in self._cut(_SINCE):
            self._add(self._date(match[1]), "<" if match[2].lower() in ("before", "until") else ">=", match[3])
        due = [item for item in self.finder.relation.columns if item.field and is_date(item.field) and _due(item)]
        due.sort(key=lambda item: "due" not in item.name.lower())
        for _ in self._cut(_OVERDUE) if due else ():
            self._add(Path(due[0]), "<", Ago(0, "days", _by_day(due[0])))
            self._active(1)
        for match in self._cut(_DAY):
            today = match[2].lower() == "today"
            self._add(self._date(match[1] or ""), ">=", Ago(0 if today else 1, "days", True))
            if not today:
                self._add(self._date(match[1] or ""), "<", Ago(0, "days", True))

    def _moment(self, words: str | None, operator: Operator, number: int, unit: str) -> None:
        path = self._date(words or "")
        if path is not None:
            count = number * 7 if unit.lower() == "week" else number
            by_day = _by_day(path.column) and unit.lower() != "hour"
            known = {"hours": "hours", "days": "days", "months": "months", "years": "years"}[_UNITS[unit.lower()]]
            self._add(path, operator, Ago(count, known, by_day))  # type: ignore[arg-type]

    def _date(self, words: str) -> Path | None:
        """The date that a word such as ``closed`` speaks of; without one, that on which the record began."""
        dates = [item for item in self.finder.relation.columns if item.field and is_date(item.field)]
        stem = words.lower().removesuffix("ed").removesuffix("d")
        near = [item for item in dates if len(stem) > 2 and any(stem in name for name in names_of(item))]
        return Path(near[0]) if near else self.finder.begun

    def _numbers(self) -> None:
        for column in self.finder.relation.columns:
            if column.references or column.field is None or affinity(column) == "TEXT":
                continue
            for name in sorted(names_of(column), key=len, reverse=True):
                pattern = rf"\b{re.escape(name)}\s+(?:(?:is|are|of|was)\s+)?({_SIGN})\s+(\d+(?:\.\d+)?)(?!\S*\d)"
                for match in self._cut(re.compile(pattern, re.IGNORECASE)):
                    number = float(match[2]) if "." in match[2] else int(match[2])
                    self._add(Path(column), _SIGNS[match[1].lower()], number)

    def _choices(self) -> None:
        for column in self.finder.relation.columns:
            if column.field is None or not column.field.choices:
                continue
            words = {word: choice for choice in column.field.choices for word in _said(choice)}
            names = "|".join(re.escape(name) for name in sorted(names_of(column), key=len, reverse=True))
            values = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
            listed = rf"(?P<values>(?:{values})(?:\s*(?:,|or|and|/)\s*(?:{values}))*)"
            spoken = (
                rf"\b(?:{names})\s*(?:is|are|=|of|:|as)?\s*{listed}\b|\b{listed.replace('values>', 'before>')}\s+(?:{names})\b"
            )
            for match in self._cut(re.compile(spoken, re.IGNORECASE)):
                given = (match["values"] or match["before"]).lower()
                self._chosen(column, [words[item] for item in re.findall(values, given) if item in words])
        self._bare_choices()

    def _bare_choices(self) -> None:
        """A value that stands alone, such as ``on hold`` or ``critical``: of a state first, then of any other field."""
        columns = [item for item in self.finder.relation.columns if item.field and item.field.choices]
        columns.sort(key=lambda item: item.name.lower() not in ("state", "status", "stage"))
        done = {test.path.name for test in self.tests}
        for column in columns:
            for choice in column.field.choices if column.field and column.name not in done else ():
                plain = [word for word in _said(choice) if len(word) > 3 and not word.isdigit()]
                pattern = "|".join(re.escape(word) for word in sorted(plain, key=len, reverse=True))
                if pattern and list(
                    self._cut(re.compile(rf"\b(?:{pattern})\b(?!\s+(?:date|time|by|at|in the)\b)", re.IGNORECASE))
                ):
                    self._chosen(column, [choice])
                    done.add(column.name)
                    break

    def _chosen(self, column: Column, choices: list[str]) -> None:
        chosen = tuple(dict.fromkeys(choices))
        if chosen:
            self._add(Path(column), "=" if len(chosen) == 1 else "in", chosen[0] if len(chosen) == 1 else chosen)

    def _states(self) -> None:
        for pattern, value in ((_OPEN, 1), (_CLOSED, 0)):
            for _ in self._cut(pattern) if called("active", self.finder.relation.columns) else ():
                self._active(value)

    def _active(self, value: int) -> None:
        """Being open or closed, where the table tells it by a field ``active``."""
        column = called("active", self.finder.relation.columns)
        if column is not None and column.field is not None and "bool" in column.field.data_type.lower():
            self._add(Path(column), "=", value)

    def flags(self, *, of_table: bool = False) -> None:
        """Reads what is true or not, such as ``locked out``.

        Args:
            of_table: Only those that the table's own name is a part of, such as ``major incident``.
        """
        table = split_words(self.finder.relation.table.title).lower()
        for column in self.finder.relation.columns:
            if column.field is None or "bool" not in column.field.data_type.lower():
                continue
            for name in sorted(names_of(column), key=len, reverse=True):
                if of_table and table not in name:
                    continue
                for match in self._cut(re.compile(rf"\b(not |non-|non )?{re.escape(name)}s?\b", re.IGNORECASE)):
                    self._add(Path(column), "=", 0 if match[1] else 1)


def _said(choice: str) -> set[str]:
    """What people say for a value: itself, its words, and of ``1 - Critical`` either half."""
    words = split_words(choice).lower()
    halves = re.fullmatch(r"(\d+)\s*-\s*(.+)", choice.lower())
    return {choice.lower(), words, *(halves.groups() if halves else ())}


def _due(column: Column) -> bool:
    return bool(re.search(r"due|expir|deadline|valid_to|end", column.name.lower()))


def _by_day(column: Column) -> bool:
    return column.field is not None and column.field.data_type.lower() == "date"
