"""Ranking the elements of one type for queries: dense, lexical, or both in one score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multiretriever.core.elements import ElementType
from multiretriever.core.encoders import Vectors
from multiretriever.core.index import Index
from multiretriever.core.index.lexical import LexicalIndex, top
from multiretriever.core.query import Mode

# Share of the cosine in the fused score; BM25 has the rest. Chosen on development sets (docs/benchmarks.md).
DENSE_WEIGHT = 0.9
# Candidates that each side puts up for the fusion, at least, and as a multiple of k.
MIN_CANDIDATES = 50
_CANDIDATES_PER_HIT = 3

Ranked = list[tuple[str, float]]


@dataclass(frozen=True)
class Request:
    """What is asked of one element type, checked against an index.

    Attributes:
        kind: The element type.
        k: Hits of each query.
        where: Values that hits must have; a tuple means any of its values.
        mode: How to rank.
        weight: Share of the cosine in ``hybrid``.
    """

    kind: ElementType
    k: int
    where: Mapping[str, Any]
    mode: Mode
    weight: float = DENSE_WEIGHT

    @property
    def dense(self) -> bool:
        """Whether vectors of the queries are needed."""
        return self.mode != "lexical"


def rank(index: Index, request: Request, words: Sequence[str], vectors: Vectors) -> list[Ranked]:
    """Returns for each query the ids of the best elements and their scores, best first (see ``Hit.score``).

    Args:
        index: The index.
        request: What is asked.
        words: What BM25 reads of each query.
        vectors: Vector of each query, float32 [len(words), dimension]; of any shape where the request is lexical.
    """
    if request.mode == "lexical":
        return [_lexical(index.lexical(request.kind), text, request) for text in words]
    if request.mode == "dense":
        # More than k, since of elements with one text Chroma returns any; the order by id decides which of them stay.
        return [found[: request.k] for found in _dense(index, request, vectors, max(MIN_CANDIDATES, request.k))]
    return _hybrid(index, request, words, vectors)


def _dense(index: Index, request: Request, vectors: Vectors, count: int) -> list[Ranked]:
    return [_sorted(found) for found in index.search(request.kind, vectors, count, request.where)]


def _lexical(lexical: LexicalIndex, text: str, request: Request) -> Ranked:
    scores = lexical.scores(text, request.where)
    return _sorted([(lexical.ids[row], float(scores[row])) for row in top(scores, request.k)])


def _sorted(found: Ranked) -> Ranked:
    return sorted(found, key=lambda item: (-item[1], item[0]))


def _hybrid(index: Index, request: Request, words: Sequence[str], vectors: Vectors) -> list[Ranked]:
    """Ranks by the weighted sum of the cosine and of BM25 over the query's highest BM25.

    Both parts are exact for every candidate of either side: reciprocal ranks, or leaving a missing part out, lost to the cosine
    alone on most development sets.
    """
    count = max(MIN_CANDIDATES, _CANDIDATES_PER_HIT * request.k)
    dense = _dense(index, request, vectors, count)
    lexical = index.lexical(request.kind)
    found = [_Candidates.of(near, lexical, text, count, request) for near, text in zip(dense, words, strict=True)]
    missing = [item.missing(request.k) for item in found]
    # One read for all queries: each costs about as much as a query.
    known = index.vectors(request.kind, list(dict.fromkeys(name for names in missing for name in names)))
    for item, names, vector in zip(found, missing, vectors, strict=True):
        item.cosines.update({name: float(np.dot(known[name], vector)) for name in names if name in known})
    return [item.best(request.k) for item in found]


@dataclass(frozen=True)
class _Candidates:
    """The candidates of one query: cosines of the dense side, shares of the highest BM25."""

    cosines: dict[str, float]
    shares: Mapping[str, float]
    weight: float

    @classmethod
    def of(cls, near: Ranked, lexical: LexicalIndex, text: str, count: int, request: Request) -> _Candidates:
        scores = lexical.scores(text, request.where)
        rows = top(scores, count)
        highest = float(scores[rows[0]]) if len(rows) else 1.0
        # An element that was indexed after BM25 was built has no row yet.
        known = {name: row for name, _ in near if (row := lexical.row.get(name)) is not None}
        shares = {name: float(scores[row]) / highest for name, row in known.items()}
        shares |= {lexical.ids[row]: float(scores[row]) / highest for row in rows}
        return cls(dict(near), shares, request.weight)

    def missing(self, k: int) -> list[str]:
        """Returns the candidates of BM25 whose cosine is not known and that can be among the best ``k``."""
        found = sorted((self._score(name, cosine) for name, cosine in self.cosines.items()), reverse=True)
        bar = found[k - 1] if len(found) >= k else float("-inf")
        # What the dense side left out is no nearer than the last that it returned.
        nearest = min(self.cosines.values(), default=1.0)
        return [name for name in self.shares if name not in self.cosines and self._score(name, nearest) >= bar]

    def best(self, k: int) -> Ranked:
        return _sorted([(name, self._score(name, cosine)) for name, cosine in self.cosines.items()])[:k]

    def _score(self, name: str, cosine: float) -> float:
        return self.weight * cosine + (1 - self.weight) * self.shares.get(name, 0.0)
