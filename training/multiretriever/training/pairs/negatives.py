"""Elements that do not answer a query: random ones, and near misses by the structure of the catalog.

The near misses are those of the multi-task retriever paper (arXiv 2501.04652): of the same scope, the same table, the
same flow, and siblings in a hierarchy. None is ever a known answer of the query.

Others are mined by similarity, by the rule of REFINE (arXiv 2410.12890): with a cosine of 0.5 to 0.7 with the query and not among
the 5 nearest of all: near enough to teach something, and not so near that it may be an answer that nobody wrote down.
(sentence-transformers' ``mine_hard_negatives`` with ``range_min=5`` leaves out the five best within the band, which is another
rule.)
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from multiretriever.core import Catalog, Element, Encoder, Field, Step, Table
from multiretriever.core.encoders import Vectors
from multiretriever.core.example import Example
from multiretriever.core.prompts import fit_prompt, make_prompt
from multiretriever.training.recipe import Band

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
    """Yields the groups of near misses that an element belongs to: type, kind of nearness, and what is shared."""
    name = element.element_type
    if isinstance(element, Field):
        yield name, "table", element.scope, element.table
        # The same column of other tables: what distinguishes them is the table.
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


CHUNK = 1024


def in_band(scores: npt.NDArray[np.float32], band: Band) -> npt.NDArray[np.intp]:
    """Returns the places of the elements in the band, nearest first.

    Args:
        scores: Cosines of one query with all elements, [elements].
        band: The band.
    """
    order = np.argsort(-scores, kind="stable")[band.skip :]
    values = scores[order]
    found: npt.NDArray[np.intp] = order[(values >= band.low) & (values <= band.high)]
    return found


class Miner:
    """Finds negatives among the elements of one type by an encoder."""

    def __init__(self, encoder: Encoder, elements: Sequence[Element], texts: Sequence[str], *, band: Band | None = None) -> None:
        """Embeds the elements.

        Args:
            encoder: The encoder.
            elements: Elements of one type.
            texts: The text of each.
            band: Which elements are taken; None for REFINE's rule.
        """
        self._encoder = encoder
        self._elements = elements
        self._band = band or Band()
        self._vectors: Vectors = encoder.encode_documents(list(texts))

    def mine(self, examples: Sequence[Example], known: Sequence[Collection[str]], count: int) -> list[list[Any]]:
        """Returns up to ``count`` negatives for each query, nearest first; none where the band is empty.

        Args:
            examples: The queries. Each is put to the encoder as retrieval would put it: with the encoder's own instructions.
            known: Ids of all known answers of each.
            count: Negatives for each query at most.
        """
        found: list[list[Any]] = []
        for start in range(0, len(examples), CHUNK):
            vectors = self._encode(examples[start : start + CHUNK])
            for scores, answers in zip(vectors @ self._vectors.T, known[start : start + CHUNK], strict=True):
                places = in_band(scores, self._band)
                items = (self._elements[place] for place in places)
                found.append([item for item in items if item.id not in answers][:count])
        return found

    def _encode(self, examples: Sequence[Example]) -> Vectors:
        encoder = self._encoder
        prompts = (
            make_prompt(item.query, item.element_type, item.context, instructions=encoder.instructions) for item in examples
        )
        texts = [fit_prompt(encoder, prompt) for prompt in prompts]
        unique = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        vectors: Vectors = encoder.encode_queries(list(unique))[[unique[text] for text in texts]]
        return vectors
