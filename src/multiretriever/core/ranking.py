"""Ranking the elements of one type for a query: dense, lexical, or both fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multiretriever.core.encoders import Vectors
from multiretriever.core.index import Index
from multiretriever.core.lexical import LexicalIndex, top
from multiretriever.core.query import Mode

# Share of the cosine in the fused score; BM25 has the rest. Chosen on development sets (docs/benchmarks.md).
DENSE_WEIGHT = 0.85
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
    if mode == "dense":
        return _dense(index, element_type, searches, k, where)
    count = max(_MIN_CANDIDATES, _CANDIDATES_PER_HIT * k)
    dense = _dense(index, element_type, searches, count, where)
    fusion = _Fusion(index, element_type, index.lexical(element_type), weight)
    return [fusion.run(search, found, count, where)[:k] for search, found in zip(searches, dense, strict=True)]


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
    lexical: LexicalIndex
    weight: float

    def run(self, search: Search, dense: Ranked, count: int, where: Mapping[str, Any]) -> Ranked:
        scores = self.lexical.scores(search.query, where)
        best = top(scores, count)
        highest = float(scores[best[0]]) if len(best) else 1.0
        cosines = dict(dense)
        missing = [self.lexical.ids[row] for row in best if self.lexical.ids[row] not in cosines]
        for element_id, vector in self.index.vectors(self.element_type, missing).items():
            cosines[element_id] = float(np.dot(vector, search.vector)) if search.vector is not None else 0.0
        fused = []
        for element_id, cosine in cosines.items():
            # An element that was indexed after BM25 was built has no row yet.
            row = self.lexical.row.get(element_id)
            share = float(scores[row]) / highest if row is not None else 0.0
            fused.append((element_id, self.weight * cosine + (1 - self.weight) * share))
        return _sorted(fused)
