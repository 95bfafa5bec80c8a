"""Finding in the words of a request which table and fields it names. Rules for English."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from multiretriever.core.generation.query_plan import Path
from multiretriever.core.names import split_words
from multiretriever.core.retriever import MultiRetriever
from multiretriever.core.sample_rows import is_date
from multiretriever.grounding.sql_schema import Column, Relation, RelationalSchema

_ARTICLE = re.compile(r"^(?:(?:the|a|an|any|all|each|every|its|their|his|her|and|of|only)\s+)+", re.IGNORECASE)
_DATE_WORD = r"(?:\s+(?:date|time|on|at|moment|day))?"
_OF = re.compile(r"(?P<field>.+?)\s+(?:of|from)\s+(?:the\s+|its\s+|their\s+)?(?P<via>.+)", re.IGNORECASE)
_BEGUN = ("opened", "creat", "reported", "received", "requested", "ordered", "start", "begin")
_LEAST_SCORE = 0.15


def table_named(text: str, schema: RelationalSchema) -> tuple[Relation, int] | None:
    """Returns the table that is named first in a text, and where its name ends; of several at one place the longest."""
    found: list[tuple[int, int, str]] = []
    for name in schema.names:
        relation = schema.get(name)
        for words in {split_words(name), split_words(relation.table.title)} if relation else ():
            if match := re.search(_plural(words), text, re.IGNORECASE):
                found.append((match.start(), -match.end(), name))
    if not found:
        return None
    _, end, name = min(found)
    relation = schema.get(name)
    return (relation, -end) if relation else None


def _plural(words: str) -> str:
    stem = re.escape(words)
    return rf"\b(?:{stem[:-1]}ies|{stem}s?)\b" if words.endswith("y") else rf"\b{stem}(?:s|es)?\b"


@dataclass
class FieldFinder:
    """Finds the fields of one table, and of those that it refers to.

    Attributes:
        relation: The table.
        schema: All tables.
        retriever: Asked where no field has the name that is used.
        guesses: What was found by retrieval and not by its name: ``assignee: assigned_to``.
    """

    relation: Relation
    schema: RelationalSchema
    retriever: MultiRetriever
    guesses: list[str] = field(default_factory=list)

    def find(self, words: str) -> Path | None:
        """Returns the field that words mean: one that is called so, one of a table referred to, or the best that is retrieved."""
        words = _ARTICLE.sub("", words.strip(" ,.?!'\"")).strip()
        if not words or not re.search(r"\w", words):
            return None
        return self.named(words) or self.over_reference(words) or self.retrieved(words)

    def named(self, words: str) -> Path | None:
        """Returns the field that is called so."""
        column = called(words, self.relation.columns)
        return Path(column) if column else None

    def over_reference(self, words: str) -> Path | None:
        """Returns a field of a table referred to: ``caller's email``, ``email of the caller``, ``caller email``."""
        match = _OF.fullmatch(words)
        pairs = [(match["via"], match["field"])] if match else []
        parts = re.sub(r"'s?\b", "", words).split()
        pairs += [(" ".join(parts[:place]), " ".join(parts[place:])) for place in range(len(parts) - 1, 0, -1)]
        references = [item for item in self.relation.columns if item.references]
        for before, rest in pairs:
            via = called(before, references)
            target = self.schema.get(via.references or "") if via else None
            column = called(rest, target.columns) if target else None
            if column is not None:
                return Path(column, via)
        return None

    def retrieved(self, words: str) -> Path | None:
        """Returns the field of the table that is best for the words; none where even that is far from them."""
        # Without the table as context, which speaks for its own fields and against those that it inherits.
        hits = self.retriever.retrieve(words, "field", k=3, where={"table": self.relation.table.name})
        for hit in hits:
            column = self.relation.column(hit.element.name)
            if column is not None and column.field is not None and column.field.id == hit.id and hit.score >= _LEAST_SCORE:
                self.guesses.append(f"{words}: {column.name}")
                return Path(column)
        return None

    def mentioned(self, text: str) -> list[tuple[int, Path]]:
        """Returns the fields whose titles stand in a text, with their places, longest titles first where they overlap."""
        taken: list[range] = []
        found: list[tuple[int, Path]] = []
        named = {words: item for item in reversed(self.relation.columns) for words in names_of(item)}
        for words in sorted(named, key=len, reverse=True):
            for match in re.finditer(rf"\b{re.escape(words)}s?\b{_DATE_WORD}", text, re.IGNORECASE):
                if not any(match.start() < span.stop and span.start < match.end() for span in taken):
                    taken.append(range(match.start(), match.end()))
                    found.append((match.start(), Path(named[words])))
        return sorted(found, key=lambda item: item[0])

    @property
    def begun(self) -> Path | None:
        """The moment at which a record began: opened, created, or the first date it has."""
        dates = [item for item in self.relation.columns if item.field and is_date(item.field)]
        ranked = sorted(
            dates, key=lambda item: next((n for n, words in enumerate(_BEGUN) if words in item.name.lower()), len(_BEGUN))
        )
        return Path(ranked[0]) if ranked else None

    @property
    def usual(self) -> tuple[Path, ...]:
        """What a list shows where nobody says what: number or name, what it is about, its state; else its first fields."""
        wanted = ("number", "name", "short_description", "title", "subject", "state", "status")
        found = [item for name in wanted for item in self.relation.columns if item.name.lower() == name]
        return tuple(Path(item) for item in (found if len(found) > 1 else (*found, *self.relation.columns))[:4])


def names_of(column: Column) -> set[str]:
    """Returns what a field is called in words, in small letters."""
    title = column.field.title if column.field else column.name
    return {split_words(column.name).lower(), split_words(title).lower()} - {""}


def called(words: str, columns: Iterable[Column]) -> Column | None:
    """Returns the field that is called by the words, in the singular or the plural; a date may be called one."""
    low = split_words(_ARTICLE.sub("", words)).lower()
    for column in columns:
        for name in names_of(column):
            dated = column.field is not None and is_date(column.field)
            if re.fullmatch(rf"{re.escape(name)}s?{_DATE_WORD if dated else ''}", low):
                return column
    return None
