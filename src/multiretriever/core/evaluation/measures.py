"""Recall, nDCG and reciprocal rank of rankings, by ranx."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from multiretriever.core.evaluation.extras import extra

RECALL = "recall"
NDCG = "ndcg@10"
MRR = "mrr@10"
MEASURES = (RECALL, NDCG, MRR)
# ranx takes no empty answer; a number that is no element's stands for it.
_NOTHING = [-1, 0]

Values = NDArray[np.float64]


def measure(found: Sequence[Sequence[str]], relevant: Sequence[Mapping[str, int]], k: int) -> dict[str, Values]:
    """Returns the measures of each query, float64 [queries], 0 to 1.

    ``recall`` is the share of the relevant elements among the first ``k``. ``ndcg@10`` weighs them by grade (linear gain, as
    Järvelin and Kekäläinen have it and BEIR reports it). ``mrr@10`` is 1 over the place of the first relevant one, 0 past ten.

    Args:
        found: For each query, the ids that were found, best first.
        relevant: For each query, the grades of the relevant ids, from 1.
        k: Cut of the recall.

    Raises:
        MissingDependencyError: ranx is not installed.
    """
    if not found:
        return {name: np.empty(0) for name in MEASURES}
    rows = [_numbered(ids, grades) for ids, grades in zip(found, relevant, strict=True)]
    wanted = {f"recall@{k}": RECALL, NDCG: NDCG, MRR: MRR}
    ranx, typed_list = extra("ranx"), extra("numba.typed").List
    with warnings.catch_warnings():
        # What numba says of the inside of ranx when it compiles it.
        warnings.simplefilter("ignore")
        qrels, run = typed_list([graded for graded, _ in rows]), typed_list([ranked for _, ranked in rows])
        scores = ranx.evaluate(qrels, run, list(wanted), return_mean=False)
    return {name: np.asarray(scores[given], dtype=np.float64) for given, name in wanted.items()}


def _numbered(ids: Sequence[str], grades: Mapping[str, int]) -> tuple[Values, Values]:
    """Returns judgements and ranking as ranx keeps them: float64 [elements, 2] of number and grade or score, highest first.

    Its own classes would hash the ids, and would decide on the order of equal scores.
    """
    numbers = {item: place for place, item in enumerate(sorted(grades, key=lambda item: -grades[item]))}
    graded = [[number, grades[item]] for item, number in numbers.items()]
    ranked = [[numbers.setdefault(item, len(numbers)), -place] for place, item in enumerate(ids)] or [_NOTHING]
    return np.array(graded, dtype=np.float64), np.array(ranked, dtype=np.float64)


def first_rank(found: Sequence[str], relevant: Mapping[str, int]) -> int | None:
    """Returns the place of the first relevant id, from 1; None where none was found."""
    return next((place for place, item in enumerate(found, start=1) if item in relevant), None)
