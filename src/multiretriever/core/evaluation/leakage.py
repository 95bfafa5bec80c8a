"""Queries that stand word for word in the documents that are searched: what must not be measured.

The rule: take the text of each element of the type that is looked for, without the lines that are only its names (label, name,
scope, table, titles of fields), since people do search by names. Letter case, punctuation and white space do not count. A query
of at least ``LEAST_WORDS`` words leaks where its words stand in what is left, in their order and side by side; a shorter one,
where it is a whole line or sentence of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from multiretriever.core.datasets import Dataset, Example
from multiretriever.core.elements import Element, Field, Table
from multiretriever.core.names import split_words
from multiretriever.core.registry import element_type

# Four in a row ("on the first day") occur by chance in a catalog of some hundred descriptions.
LEAST_WORDS = 5
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[\n.;!?]+")


@dataclass(frozen=True)
class Leak:
    """A query that stands in the text of an element that is searched.

    Attributes:
        dataset: Name of the dataset.
        query_id: Id of the query.
        element_type: Type of the element.
        element_id: Id of the element.
    """

    dataset: str
    query_id: str
    element_type: str
    element_id: str


def find_leaks(dataset: Dataset, examples: Iterable[Example]) -> list[Leak]:
    """Returns the queries that stand in the text of an element of their type; of several elements the first."""
    documents: dict[str, _Documents] = {}
    leaks = []
    for example in examples:
        name = example.element_type
        if name not in documents:
            documents[name] = _Documents(dataset.catalog.of(name))
        element_id = documents[name].holding(words_of(example.query))
        if element_id is not None:
            leaks.append(Leak(dataset.name, example.id, name, element_id))
    return leaks


def words_of(text: str) -> tuple[str, ...]:
    """Returns the words of a text, in small letters."""
    return tuple(_WORD.findall(text.casefold()))


class _Documents:
    """The texts of all elements of a type, by their beginnings: of sentences, and of every few words in a row."""

    def __init__(self, elements: Iterable[Element]) -> None:
        self._prose: dict[str, _Prose] = {}
        self._sentences: dict[tuple[str, ...], str] = {}
        self._starts: dict[tuple[str, ...], list[str]] = {}
        for element in elements:
            prose = self._prose[element.id] = _Prose(element)
            for sentence in prose.sentences:
                self._sentences.setdefault(sentence, element.id)
            for start in prose.starts():
                self._starts.setdefault(start, []).append(element.id)

    def holding(self, words: Sequence[str]) -> str | None:
        """Returns the first element whose text holds words, if there is one."""
        if len(words) < LEAST_WORDS:
            return self._sentences.get(tuple(words)) if words else None
        near = self._starts.get(tuple(words[:LEAST_WORDS]), ())
        return next((item for item in near if self._prose[item].holds(words)), None)


class _Prose:
    """What an element's text says beside its names."""

    def __init__(self, element: Element) -> None:
        names = {words_of(name) for name in _names(element)}
        lines = element_type(element.element_type).text(element).split("\n")
        kept = [line for line in lines if words_of(line) not in names]
        self.sentences = {words_of(sentence) for line in kept for sentence in (line, *_SENTENCE_END.split(line))}
        self._words = [word for line in kept for word in words_of(line)]
        self._text = _spaced(self._words)

    def starts(self) -> set[tuple[str, ...]]:
        """Returns every ``LEAST_WORDS`` words that stand side by side."""
        return {tuple(self._words[place : place + LEAST_WORDS]) for place in range(len(self._words) - LEAST_WORDS + 1)}

    def holds(self, words: Sequence[str]) -> bool:
        """Tells whether words stand in it side by side."""
        return _spaced(words) in self._text


def _spaced(words: Iterable[str]) -> str:
    return f" {' '.join(words)} "


def _names(element: Element) -> Iterable[str]:
    yield from (element.label, element.name, split_words(element.name), element.scope, split_words(element.scope))
    if isinstance(element, Field):
        yield from (element.table, split_words(element.table))
    if isinstance(element, Table):
        yield ", ".join(element.fields)
