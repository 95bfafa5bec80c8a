"""Elements that do not answer a query: random ones, and near misses by the structure of the catalog.

The near misses are those of the multi-task retriever paper (arXiv 2501.04652): of the same scope, the same table, the
same flow, and siblings in a hierarchy. None is ever a known answer of the query.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from multiretriever.core import Catalog, Element, Field, Step, Table
from multiretriever.core.datasets import Example

Negative = tuple[Element, str]
"""An element, and where it comes from: ``random``, ``scope``, ``table``, ``flow`` or ``sibling``."""


class NegativeSampler:
    """Draws negatives from a catalog."""

    def __init__(self, catalog: Catalog, *, random_count: int = 2, hard_count: int = 2) -> None:
        """Prepares a sampler.

        Args:
            catalog: The catalog.
            random_count: Random elements of the same type for each query.
            hard_count: Near misses for each query; where there are not as many, random ones stand in.
        """
        self._catalog = catalog
        self._random = random_count
        self._hard = hard_count
        self._types: dict[str, tuple[Any, ...]] = {}
        self._groups: dict[tuple[str, ...], list[Element]] = {}
        for element in catalog:
            for key in _groups(element):
                self._groups.setdefault(key, []).append(element)

    def draw(self, example: Example, positive: Element, known: Collection[str], rng: random.Random) -> list[Negative]:
        """Returns negatives for a query and one of its answers, each element once.

        Args:
            example: The query.
            positive: The answer that the near misses are near to.
            known: Ids of all known answers of the query.
            rng: Source of chance.
        """
        taken = {positive.id, *known}
        hard: list[Negative] = []
        # The sources take turns, in an order that changes, so that none crowds out the others.
        sources = [self._shuffled(items, rng, kind) for kind, items in self._near(example, positive)]
        rng.shuffle(sources)
        while sources and len(hard) < self._hard:
            for source in list(sources):
                found = next((item for item in source if item[0].id not in taken), None)
                if found is None:
                    sources.remove(source)
                elif len(hard) < self._hard:
                    hard.append(found)
                    taken.add(found[0].id)
        missing = self._random + self._hard - len(hard)
        return hard + self._draw_random(example.element_type, missing, taken, rng)

    def _near(self, example: Example, positive: Element) -> Iterator[tuple[str, Sequence[Element]]]:
        if example.nearby:
            found = (self._catalog.get(example.element_type, item) for item in example.nearby)
            yield "flow", [item for item in found if item is not None]
        for key in _groups(positive):
            yield key[1], self._groups[key]

    @staticmethod
    def _shuffled(items: Sequence[Element], rng: random.Random, kind: str) -> Iterator[Negative]:
        yield from ((item, kind) for item in rng.sample(items, len(items)))

    def _draw_random(self, element_type: str, count: int, taken: set[str], rng: random.Random) -> list[Negative]:
        elements = self._types.setdefault(element_type, self._catalog.of(element_type))
        found: list[Negative] = []
        # Small types run out: then all that are left are taken.
        order = range(len(elements)) if len(elements) <= len(taken) + count else _endless(len(elements), rng)
        for place in order:
            if len(found) == count:
                break
            item = elements[place]
            if item.id not in taken:
                taken.add(item.id)
                found.append((item, "random"))
        return found


def _endless(size: int, rng: random.Random) -> Iterator[int]:
    while True:
        yield rng.randrange(size)


def _groups(element: Element) -> Iterator[tuple[str, ...]]:
    """Gives the groups of near misses that an element belongs to: type, kind of nearness, and what is shared."""
    name = element.element_type
    if isinstance(element, Field):
        yield name, "table", element.scope, element.table
        # The same column of other tables: what tells them apart is the table.
        yield name, "sibling", element.name
        return
    if isinstance(element, Step):
        yield name, "scope", element.scope, element.kind
        yield name, "sibling", element.name.partition("_")[0]
        return
    if isinstance(element, Table) and element.extends:
        yield name, "sibling", element.extends
    if element.scope:
        yield name, "scope", element.scope
    if isinstance(category := element.metadata.get("category"), str):
        yield name, "sibling", category
