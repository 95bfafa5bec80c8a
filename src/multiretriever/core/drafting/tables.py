"""Which table a clause speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from multiretriever.core.catalog import Catalog
from multiretriever.core.drafting.words import brief, stem, stems_of, words_of
from multiretriever.core.elements import Table
from multiretriever.core.retriever import MultiRetriever

_HITS = 5
_HEAD = 4
_HEAD_SHARE = 0.5


@dataclass
class Tables:
    """Finds tables by their names in a text and by retrieval.

    Attributes:
        retriever: Retriever over an index with tables.
        catalog: Its catalog.
    """

    retriever: MultiRetriever
    catalog: Catalog
    _found: dict[str, Table | None] = field(default_factory=dict)
    _titles: list[tuple[list[str], Table]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._titles = [(stems_of(name), table) for table in self.catalog.of("table") for name in {table.title, table.name}]

    @property
    def held(self) -> bool:
        """Whether there are tables to be retrieved."""
        return "table" in self.retriever.index.manifest.types

    def mentioned(self, text: str) -> Table | None:
        """Returns the table that is named in so many words: of several the one with the longest name, then the first."""
        words = stems_of(text)
        best: tuple[int, int, Table] | None = None
        for name, table in self._titles:
            place = _place(words, name)
            if place is not None and (best is None or (-len(name), place) < best[:2]):
                best = (-len(name), place, table)
        return best[2] if best else None

    def find(self, texts: Iterable[str]) -> None:
        """Looks the tables of texts up in one pass, to be asked for by ``of``."""
        wanted = [text for text in dict.fromkeys(texts) if text.strip() and text not in self._found]
        if not wanted or not self.held:
            self._found.update({text: self.mentioned(text) for text in wanted})
            return
        for text, hits in zip(
            wanted,
            self.retriever.retrieve_batch([brief(text) for text in wanted], "table", k=_HITS, context={"text": "annotation"}),
            strict=True,
        ):
            self._found[text] = self._best(text, [hit.element for hit in hits])

    def of(self, text: str) -> Table | None:
        """Returns the table that a text speaks of."""
        if text not in self._found:
            self.find([text])
        return self._found.get(text)

    def _best(self, text: str, hits: Sequence[Table]) -> Table | None:
        named = self.mentioned(text)
        head = set(stems_of(text)[:_HEAD])
        if named is not None and (
            len(words_of(named.title)) > 1 or set(stems_of(named.title)) <= head or named.id in {item.id for item in hits}
        ):
            return named
        words = set(stems_of(text))
        # The last word of a table's name is what its records are called for short.
        for table in hits[: max(1, round(len(hits) * _HEAD_SHARE))]:
            title = words_of(table.title)
            if title and stem(title[-1]) in words:
                return table
        return hits[0] if hits else named


def _place(words: Sequence[str], name: Sequence[str]) -> int | None:
    if not name:
        return None
    return next(
        (start for start in range(len(words) - len(name) + 1) if list(words[start : start + len(name)]) == list(name)), None
    )
