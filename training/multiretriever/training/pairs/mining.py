"""Negatives mined by similarity, by the rule of REFINE (arXiv 2410.12890).

A negative has a cosine of 0.5 to 0.7 with the query and is not among the 5 nearest of all: near enough to teach something, and
not so near that it may be an answer that nobody wrote down. (sentence-transformers' ``mine_hard_negatives`` with ``range_min=5``
leaves out the five best within the band, which is another rule.)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multiretriever.core import Element, Encoder, ParameterError
from multiretriever.core.datasets import Example
from multiretriever.core.encoders import Vectors, fit_prompt
from multiretriever.core.prompts import make_prompt

CHUNK = 1024


@dataclass(frozen=True)
class Band:
    """Which elements are taken.

    Attributes:
        low: Least cosine with the query.
        high: Greatest cosine with the query.
        skip: So many nearest of all elements are left out.
    """

    low: float = 0.5
    high: float = 0.7
    skip: int = 5

    def __post_init__(self) -> None:
        if not -1 <= self.low <= self.high <= 1 or self.skip < 0:
            raise ParameterError(f"a band needs -1 <= low <= high <= 1 and skip >= 0 (got {self.low}, {self.high}, {self.skip})")


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
