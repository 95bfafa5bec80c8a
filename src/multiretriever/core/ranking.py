"""Ranking the elements of one type for a query: dense, lexical, or both fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multiretriever.core.encoders import Vectors
from multiretriever.core.index import Index
from multiretriever.core.index.lexical import LexicalIndex, top
from multiretriever.core.query import Mode

# Share of the cosine in the fused score; BM25 has the rest. Chosen on development sets (docs/benchmarks.md).
DENSE_WEIGHT = 0.9
# Candidates that each side puts up for the fusion, at least, and as a multiple of k.
_MIN_CANDIDATES = 50
_CANDIDATES_PER_HIT = 3

Ranked = list[tuple[str, float]]


@dataclass(frozen=True)
class Search:
    """One query against one element type.

    Attributes:
        query: The query and the short values of its context, for BM25.
        vector: Its vector, float32 [dimension]; None when no dense part is asked for.
    """

    query: str
    vector: Vectors | None


def rank(
    index: Index, element_type: str, searches: Sequence[Search], *, k: int, where: Mapping[str, Any], mode: Mode, weight: float
) -> list[Ranked]:
    """Returns for each search the ids of the ``k`` best elements and their scores, best first (see ``Hit.score``).

    Args:
        index: The index.
        element_type: Name of the element type.
        searches: The queries.
        k: Hits of each.
        where: Checked filter.
        mode: How to rank.
        weight: Share of the cosine in ``hybrid``.
    """
    if mode == "lexical":
        return [_lexical(index.lexical(element_type), item, k, where) for item in searches]
    count = max(_MIN_CANDIDATES, _CANDIDATES_PER_HIT * k)
    if mode == "dense":
        # More than k, since of elements with one text Chroma returns any; the order by id decides which of them stay.
        return [found[:k] for found in _dense(index, element_type, searches, max(_MIN_CANDIDATES, k), where)]
    dense = _dense(index, element_type, searches, count, where)
    return _Fusion(index, element_type, weight, k).run(searches, dense, count, where)


def _dense(index: Index, element_type: str, searches: Sequence[Search], k: int, where: Mapping[str, Any]) -> list[Ranked]:
    vectors = np.stack([item.vector for item in searches if item.vector is not None])
    return [_sorted(found) for found in index.search(element_type, vectors, k, where)]


def _lexical(lexical: LexicalIndex, search: Search, k: int, where: Mapping[str, Any]) -> Ranked:
    scores = lexical.scores(search.query, where)
    return _sorted([(lexical.ids[row], float(scores[row])) for row in top(scores, k)])


def _sorted(found: Ranked) -> Ranked:
    return sorted(found, key=lambda item: (-item[1], item[0]))


@dataclass(frozen=True)
class _Fusion:
    """Weighted sum of the cosine and of BM25 over the query's highest BM25.

    Both parts are exact for every candidate of either side: reciprocal ranks, or leaving a missing part out, lost to the cosine
    alone on most development sets.
    """

    index: Index
    element_type: str
    weight: float
    k: int

    def run(self, searches: Sequence[Search], dense: Sequence[Ranked], count: int, where: Mapping[str, Any]) -> list[Ranked]:
        lexical = self.index.lexical(self.element_type)
        parts = []
        for search, found in zip(searches, dense, strict=True):
            scores = lexical.scores(search.query, where)
            rows = top(scores, count)
            highest = float(scores[rows[0]]) if len(rows) else 1.0
            # An element that was indexed after BM25 was built has no row yet.
            known = {element_id: row for element_id, _ in found if (row := lexical.row.get(element_id)) is not None}
            shares = {element_id: float(scores[row]) / highest for element_id, row in known.items()}
            shares |= {lexical.ids[row]: float(scores[row]) / highest for row in rows}
            parts.append((dict(found), shares))
        missing = [self._missing(cosines, shares) for cosines, shares in parts]
        # One read for all queries: each costs about as much as a query.
        vectors = self.index.vectors(self.element_type, list(dict.fromkeys(item for ids in missing for item in ids)))
        for search, (cosines, _), ids in zip(searches, parts, missing, strict=True):
            known_ids = [item for item in ids if item in vectors]
            cosines.update({item: float(np.dot(vectors[item], search.vector)) for item in known_ids if search.vector is not None})
        return [_sorted([(item, self._score(cosine, shares.get(item, 0.0))) for item, cosine in cosines.items()])[: self.k]
                for cosines, shares in parts]  # fmt: skip

    def _score(self, cosine: float, share: float) -> float:
        return self.weight * cosine + (1 - self.weight) * share

    def _missing(self, cosines: Mapping[str, float], shares: Mapping[str, float]) -> list[str]:
        """Returns the candidates of BM25 whose cosine is not known and that can be among the best ``k``."""
        found = sorted((self._score(cosine, shares.get(item, 0.0)) for item, cosine in cosines.items()), reverse=True)
        bar = found[self.k - 1] if len(found) >= self.k else float("-inf")
        # What the dense side left out is no nearer than the last that it gave.
        nearest = min(cosines.values(), default=1.0)
        return [item for item, share in shares.items() if item not in cosines and self._score(nearest, share) >= bar]
