"""Which fields of a table a text speaks of: by their titles, by their choices, and by retrieval."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from multiretriever.core.catalog import Catalog
from multiretriever.core.drafting.words import brief, stem, stems_of, words_of
from multiretriever.core.elements import Field, Table
from multiretriever.core.retriever import MultiRetriever

DATES = frozenset({"datetime", "date", "timestamp", "time"})
NUMBERS = frozenset({"integer", "decimal", "number", "float", "int", "double", "currency", "percent", "numeric", "bigint"})
BOOLEANS = frozenset({"boolean", "bool"})
_STATES = frozenset(map(stem, ("state", "status", "stage", "phase")))
_NOT = frozenset(("not", "non", "no", "except", "excluding", "without", "never", "isn't", "aren't", "than", "besides"))
_BEFORE = 2
_HITS = 60


@dataclass(frozen=True)
class Choice:
    """A choice of a field that a text names.

    Attributes:
        field: The field.
        value: The choice.
        negated: Whether the text says that it is not so.
        place: Where in the text it stands, in words.
        words: How many words it takes there.
    """

    field: Field
    value: str
    negated: bool = False
    place: int = 0
    words: int = 1


@dataclass
class Fields:
    """Finds fields of tables.

    Attributes:
        retriever: Retriever over an index, with fields or without.
        catalog: Its catalog.
    """

    retriever: MultiRetriever
    catalog: Catalog
    _of: dict[str, tuple[Field, ...]] = field(default_factory=dict)
    _ranked: dict[tuple[str, str], list[Field]] = field(default_factory=dict)

    def of(self, table: Table) -> tuple[Field, ...]:
        """Returns the fields of a table; of several of one name, which its parents may have, the first."""
        if table.id not in self._of:
            self._of[table.id] = tuple({item.name: item for item in reversed(self.catalog.fields_of(table))}.values())[::-1]
        return self._of[table.id]

    def ranked(self, text: str, table: Table) -> list[Field]:
        """Returns the fields of a table, those that fit a text best first."""
        key = (text, table.id)
        if key not in self._ranked:
            self._ranked[key] = self._rank(text, table)
        return self._ranked[key]

    def first(self, text: str, table: Table, types: Collection[str] = ()) -> Field | None:
        """Returns the field of some data types that fits a text best; None where the table has none."""
        fitting = [item for item in self.ranked(text, table) if not types or item.data_type.lower() in types]
        words = stems_of(text)
        named = [item for item in fitting if _place(words, stems_of(item.title)) is not None]
        return next(iter([*named, *fitting]), None)

    def _rank(self, text: str, table: Table) -> list[Field]:
        known = self.of(table)
        if "field" not in self.retriever.index.manifest.types or not known or not text.strip():
            return list(known)
        # The filter takes in the fields of the tables that this one extends.
        context = {"text": "annotation", "table": table.name}
        hits = self.retriever.retrieve(brief(text), "field", k=_HITS, where={"table": table.name}, context=context)
        order = {hit.id: hit.rank for hit in hits}
        return sorted(known, key=lambda item: order.get(item.id, _HITS + 1))

    def choices(self, text: str, table: Table) -> list[Choice]:
        """Returns the choices of its fields that a text names, each word of it for one field."""
        words, shown = words_of(text), stems_of(text)
        name = _place(shown, stems_of(table.title))
        taken = set(range(name, name + len(stems_of(table.title)))) if name is not None else set()
        found = sorted(self._candidates(shown, words, table), key=lambda item: self._rank_choice(item, shown))
        kept: list[Choice] = []
        for choice in found:
            places = set(range(choice.place, choice.place + choice.words))
            if not places & taken:
                taken |= places
                kept.append(choice)
        return sorted(kept, key=lambda item: item.place)

    def _candidates(self, shown: Sequence[str], words: Sequence[str], table: Table) -> Iterator[Choice]:
        for item in self.of(table):
            for value in item.choices:
                parts = [part for part in words_of(value) if not part.isdecimal()]
                if not parts:
                    place = self._figure(shown, item, value)
                    size = 1
                else:
                    place, size = _place(shown, [stem(part) for part in parts]), len(parts)
                # "health" is the field here, not its choice "healthy".
                named = place is not None and shown[place : place + size] == stems_of(item.title)
                if place is not None and not (named and list(words[place : place + size]) != parts):
                    yield Choice(item, value, bool(_NOT & set(words[max(0, place - _BEFORE) : place])), place, size)

    @staticmethod
    def _figure(shown: Sequence[str], item: Field, value: str) -> int | None:
        """A choice that is a number alone says nothing without the name of its field before it: "priority 2"."""
        title = stems_of(item.title)
        figures = [place for place, word in enumerate(shown) if word == value.strip()]
        return next((place for place in figures if title and title[-1] in shown[max(0, place - 3) : place]), None)

    @staticmethod
    def _rank_choice(choice: Choice, shown: Sequence[str]) -> tuple[int, int, int]:
        """Longer ones first; then the field that is named in the text; then what tells the state."""
        title = stems_of(choice.field.title)
        named = _place(shown, title) is not None
        return -choice.words, 0 if named else 1, 0 if set(title) & _STATES else 1

    def flags(self, text: str, table: Table) -> Iterator[Choice]:
        """Gives the yes-or-no fields whose titles stand in a text."""
        words, shown = words_of(text), stems_of(text)
        own = set(stems_of(table.title))
        for item in self.of(table):
            title = stems_of(item.title)
            place = _place(shown, title)
            if item.data_type.lower() in BOOLEANS and place is not None and not set(title) <= own:
                yield Choice(item, "true", bool(_NOT & set(words[max(0, place - _BEFORE) : place])), place, len(title))

    def brought_to(self, verb: str, table: Table) -> Choice | None:
        """Returns the choice that a verb brings a record to, of its state if it can: "close" to ``closed_complete``."""
        wanted = stem(verb)
        found = [
            Choice(item, value)
            for item in self.of(table)
            for value in item.choices
            if verb and (parts := words_of(value)) and stem(parts[0]) == wanted
        ]
        return min(found, key=lambda item: not set(stems_of(item.field.title)) & _STATES, default=None)


def _place(words: Sequence[str], name: Sequence[str]) -> int | None:
    if not name:
        return None
    return next(
        (start for start in range(len(words) - len(name) + 1) if list(words[start : start + len(name)]) == list(name)), None
    )
