"""BM25 over the texts of one element type (bm25s, in memory)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]


class LexicalIndex:
    """BM25 scores of all texts of one element type, with filters."""

    def __init__(self, ids: Sequence[str], texts: Sequence[str], metadata: Sequence[Mapping[str, Any]]) -> None:
        """Builds the index.

        Args:
            ids: Id of each text.
            texts: The texts.
            metadata: Values that can be filtered on, of each text.
        """
        self.ids = list(ids)
        self.row = {element_id: index for index, element_id in enumerate(self.ids)}
        self._metadata = list(metadata)
        self._columns: dict[str, NDArray[np.object_]] = {}
        tokens = _tokenize(texts)
        self._bm25 = _build(tokens) if any(tokens) else None

    def scores(self, query: str, where: Mapping[str, Any]) -> Scores:
        """Returns the BM25 score of every text, float32 [texts]; 0 where no word is shared or the filter does not hold."""
        (words,) = _tokenize([query])
        known = [word for word in words if self._bm25 is not None and word in self._bm25.vocab_dict]
        if self._bm25 is None or not known:
            return np.zeros(len(self.ids), dtype=np.float32)
        scores: Scores = np.maximum(self._bm25.get_scores(known), 0).astype(np.float32)
        return scores * self._allowed(where) if where else scores

    def _allowed(self, where: Mapping[str, Any]) -> NDArray[np.bool_]:
        allowed = np.ones(len(self.ids), dtype=bool)
        for name, value in where.items():
            if name not in self._columns:
                column = np.empty(len(self.ids), dtype=object)
                column[:] = [item.get(name) for item in self._metadata]
                self._columns[name] = column
            wanted = value if isinstance(value, tuple) else (value,)
            fits = (any(_same(item, one) for one in wanted) for item in self._columns[name])
            allowed &= np.fromiter(fits, dtype=bool, count=len(self.ids))
        return allowed


def top(scores: Scores, k: int) -> NDArray[np.intp]:
    """Returns the rows of the ``k`` highest scores above 0, best first; of equal ones the earlier row."""
    k = min(k, int(np.count_nonzero(scores > 0)))
    if k == 0:
        return np.empty(0, dtype=np.intp)
    # The k-th score decides; of the rows that share it a stable sort takes the earliest.
    bound = np.partition(scores, -k)[-k]
    rows = np.flatnonzero(scores >= bound)
    chosen: NDArray[np.intp] = rows[np.argsort(-scores[rows], kind="stable")][:k]
    return chosen


def _same(stored: Any, value: Any) -> bool:
    # In Python True == 1; Chroma tells them apart (but not 1 and 1.0), and so must the other half of a hybrid search.
    return isinstance(stored, bool) == isinstance(value, bool) and bool(stored == value)


def _tokenize(texts: Sequence[str]) -> list[list[str]]:
    import bm25s

    tokens: list[list[str]] = bm25s.tokenize(list(texts), stopwords="en", return_ids=False, show_progress=False)
    return tokens


def _build(tokens: list[list[str]]) -> Any:
    import bm25s

    index = bm25s.BM25(method="lucene")
    index.index(tokens, show_progress=False)
    return index
