"""Queries written by rules, without any model: patterns written by hand, filled with phrases of the elements.

They are plainer than those of a chat model, cost nothing and are the same everywhere. The patterns are English, in ``banks``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence

from multiretriever.core.example import Example
from multiretriever.datasets.checks import words_of
from multiretriever.training.queries.documents import RULE_KINDS, Document, WriterSettings, check_kinds, fault
from multiretriever.training.queries.english import bank
from multiretriever.training.queries.slots import Slots, bank_of, keywords, slots_of

_SLOT = re.compile(r"\{(\w+)\}")
_TRIALS = 12
_SLOPPY = 0.3


class RuleQueryWriter:
    """Writes queries from patterns. The same elements, settings and version of the package give the same queries.

    Attributes:
        name: Name in what is written.
        kinds: Kinds that it writes.
    """

    name = "rules"

    def __init__(self, settings: WriterSettings | None = None) -> None:
        """Makes a writer.

        Raises:
            ParameterError: Rules cannot write one of the kinds.
        """
        self._settings = settings or WriterSettings()
        self.kinds = check_kinds(self._settings.kinds, RULE_KINDS, "the writer of rules")

    def write(self, documents: Sequence[Document], *, on_call: Callable[[], None] = lambda: None) -> Iterator[Example]:
        """Gives the queries of each document, kind after kind; fewer than asked for where an element says too little.

        Args:
            documents: What queries are written for.
            on_call: Called after each kind of each document, say for progress.
        """
        for document in documents:
            for kind in self.kinds:
                for number, query in enumerate(self._queries(document, kind)):
                    yield document.example(kind, number, query)
                on_call()

    def _queries(self, document: Document, kind: str) -> list[str]:
        element = document.element
        # By the element's id and not by its place, so that its queries stay the same when others come or go.
        rng = random.Random(f"{self._settings.seed}\0{element.element_type}\0{element.id}\0{kind}")
        found: dict[tuple[str, ...], str] = {}
        for query in self._drafts(document, kind, rng):
            if fault(query, document) is None:
                found.setdefault(words_of(query), query)
            if len(found) == self._settings.per_element:
                break
        return list(found.values())

    def _drafts(self, document: Document, kind: str, rng: random.Random) -> Iterator[str]:
        trials = _TRIALS * self._settings.per_element
        if kind == "keywords":
            yield from (keywords(document.element, rng) for _ in range(trials))
            return
        patterns = list(bank(bank_of(document.element), "\n")[kind])
        for trial in range(trials):
            if trial % len(patterns) == 0:
                rng.shuffle(patterns)
            text = _filled(patterns[trial % len(patterns)], slots_of(document.element, rng))
            if text is not None:
                yield _worded(text, kind, rng)


def _filled(pattern: str, slots: Slots) -> str | None:
    """Puts phrases into a pattern; None where the element has none for one of its places."""
    if any(name not in slots for name in _SLOT.findall(pattern)):
        return None
    # By replacement and not by str.format: what stands in a catalog is never read as a pattern.
    return _SLOT.sub(lambda match: slots[match[1]], pattern)


def _worded(text: str, kind: str, rng: random.Random) -> str:
    """Writes a query as a careful person does or, now and then, as one in a hurry."""
    sloppy = rng.random() < _SLOPPY
    if kind == "free":
        return text[0].upper() + text[1:] + "." * (not text.endswith(("?", "."))) if sloppy else text
    if kind == "question" and sloppy:
        return text[0].lower() + text[1:].rstrip("?") if not text.startswith("I ") else text.rstrip("?")
    return text[0].upper() + text[1:]
