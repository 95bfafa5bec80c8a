"""What a retrieval gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from multiretriever.core.elements import Element
from multiretriever.core.query import Mode


@dataclass(frozen=True)
class Hit:
    """An element that was found.

    Attributes:
        element: The element.
        score: How well it fits; the larger the better. Comparable within one answer, and by mode: ``dense`` is the cosine of
            query and element, -1 to 1; ``lexical`` is the BM25 score, from 0 without upper bound; ``hybrid`` is
            ``w * cosine + (1 - w) * BM25 / highest BM25 of the query``, at most 1.
        rank: Its place in the answer, from 1.
        mode: How it was found.
    """

    element: Any
    score: float
    rank: int
    mode: Mode

    @property
    def id(self) -> str:
        """Id of the element."""
        return str(self.element.id)

    def to_dict(self) -> dict[str, Any]:
        """Returns rank, score and the element's values."""
        element: Element = self.element
        return {"rank": self.rank, "score": round(self.score, 6), **element.model_dump(mode="json", exclude_defaults=True),
                "element_type": element.element_type}  # fmt: skip


@dataclass(frozen=True)
class Grounding(Mapping[str, list[Hit]]):
    """What was found for one query, by element type.

    Attributes:
        query: The query.
        hits: Hits, best first, by element type.
    """

    query: str
    hits: Mapping[str, list[Hit]]

    def __getitem__(self, element_type: str) -> list[Hit]:
        return self.hits[element_type]

    def __iter__(self) -> Iterator[str]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def to_dict(self) -> dict[str, Any]:
        """Returns the query and the hits of each type as plain values."""
        return {"query": self.query, "hits": {name: [hit.to_dict() for hit in hits] for name, hits in self.hits.items()}}
