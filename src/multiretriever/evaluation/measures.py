"""Recall, nDCG and reciprocal rank of rankings; their means, confidence intervals, and tests of differences, by scipy.

A mean is taken over the queries of each dataset and element type (a stratum), then over the strata, so that a large dataset does
not drown a small one. What is drawn at random is the unit: all queries of one flow together, since they share its words, or one
query that was written down by itself. Needs the extra ``eval``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiretriever.core.errors import MissingDependencyError

PACKAGES = ("scipy", "matplotlib")


def check_extras() -> None:
    """Looks whether all packages of the extra are there, before anything is done that takes minutes.

    Raises:
        MissingDependencyError: One is not installed.
    """
    for package in PACKAGES:
        try:
            found = find_spec(package)
        except ImportError:
            found = None
        if found is None:
            raise _missing(package)


def extra(module: str) -> Any:
    """Imports a module of the extra ``eval`` when it is first needed, since these take seconds to load.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise _missing(module.partition(".")[0]) from error


def _missing(package: str) -> MissingDependencyError:
    return MissingDependencyError(f'evaluation needs {package}: pip install "multiretriever[eval]"')


RECALL = "recall"
NDCG = "ndcg@10"
MRR = "mrr@10"
TITLES = {RECALL: "Recall", NDCG: "nDCG@10", MRR: "MRR@10"}
MEASURES = tuple(TITLES)
_DEPTH = 10

Values = NDArray[np.float64]


def measure(found: Sequence[Sequence[str]], relevant: Sequence[Mapping[str, int]], k: int) -> dict[str, Values]:
    """Returns the measures of each query, float64 [queries], 0 to 1.

    ``recall`` is the share of the relevant elements among the first ``k``. ``ndcg@10`` weighs them by grade (linear gain, as
    Järvelin and Kekäläinen have it and BEIR reports it). ``mrr@10`` is 1 over the place of the first relevant one, 0 past ten.

    Args:
        found: For each query, the ids that were found, best first.
        relevant: For each query, the grades of the relevant ids, from 1.
        k: Cut of the recall.
    """
    rows = [_measured(ids, grades, k) for ids, grades in zip(found, relevant, strict=True)]
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(MEASURES))
    return dict(zip(MEASURES, values.T, strict=True))


def _measured(ids: Sequence[str], grades: Mapping[str, int], k: int) -> tuple[float, float, float]:
    """Returns recall, nDCG and reciprocal rank of one query, in the order of ``MEASURES``."""
    gains = [grades.get(item, 0) for item in ids[:_DEPTH]]
    best = sorted(grades.values(), reverse=True)[:_DEPTH]
    first = next((place for place, gain in enumerate(gains, start=1) if gain), None)
    recall = sum(item in grades for item in ids[:k]) / len(grades)
    return recall, _discounted(gains) / _discounted(best), 1 / first if first else 0.0


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, start=1))


def first_rank(found: Sequence[str], relevant: Mapping[str, int]) -> int | None:
    """Returns the place of the first relevant id, from 1; None where none was found."""
    return next((place for place, item in enumerate(found, start=1) if item in relevant), None)


RESAMPLES = 1_000
PERMUTATIONS = 9_999
CONFIDENCE = 0.95
# Rows drawn at once, which bounds the memory.
_BATCH = 100

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Sample:
    """Which queries a mean is taken over, and how they belong together.

    Attributes:
        rows: The queries, as places in the report's lists.
        strata: Dataset and element type of each.
        units: Dataset and flow (or query) of each.
    """

    rows: Ints
    strata: tuple[Hashable, ...]
    units: tuple[Hashable, ...]

    @property
    def weights(self) -> Floats:
        """Share of each query in the mean, float64 [rows], 1 in sum."""
        places = _numbered(self.strata)
        counts = np.bincount(places)
        weights: Floats = 1.0 / (counts[places] * len(counts))
        return weights

    def mean(self, values: Floats) -> float:
        """Returns the mean of values [all queries]."""
        return float(values[self.rows] @ self.weights)


def interval(sample: Sample, values: Floats, *, seed: int = 0) -> tuple[float, float] | None:
    """Returns the percentile bootstrap interval of a mean at 95% (Efron and Tibshirani 1993, chapter 13).

    Units are drawn with replacement among those of the same dataset and the same element types.

    Args:
        sample: The queries.
        values: Values of all queries of the report, float64 [all queries].
        seed: Makes it the same each time.

    Returns:
        Lower and upper end; None where no group has two units to draw from.

    Raises:
        MissingDependencyError: scipy is not installed.
    """
    groups = _groups(sample, values[sample.rows])
    drawn = [group for group in groups if len(group.sums) > 1]
    if not drawn:
        return None
    strata = len(set(sample.strata))
    fixed = [group for group in groups if len(group.sums) == 1]

    def statistic(*chosen: Any, axis: int = -1) -> Any:
        sums = np.zeros((*chosen[0].shape[:-1], strata))
        counts = np.zeros_like(sums)
        for group, rows in zip(drawn, chosen, strict=True):
            places = rows.astype(np.intp)
            sums[..., group.strata] += group.sums[places].sum(axis=-2)
            counts[..., group.strata] += group.counts[places].sum(axis=-2)
        for group in fixed:
            sums[..., group.strata] += group.sums[0]
            counts[..., group.strata] += group.counts[0]
        return (sums / counts).mean(axis=-1)

    with warnings.catch_warnings():
        # Where all values are equal, scipy says that the interval has no width.
        warnings.simplefilter("ignore")
        found = extra("scipy.stats").bootstrap(
            [np.arange(len(group.sums), dtype=np.float64) for group in drawn],
            statistic,
            n_resamples=RESAMPLES,
            batch=_BATCH,
            confidence_level=CONFIDENCE,
            method="percentile",
            vectorized=True,
            rng=np.random.default_rng(seed),
        )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def p_value(sample: Sample, values: Floats, baseline: Floats, *, permutations: int = PERMUTATIONS, seed: int = 0) -> float:
    """Returns how likely a difference at least as large is if two systems are equal: a paired, two-sided permutation test.

    The signs of the units' differences are drawn anew (Smucker, Allan and Carterette, CIKM 2007); all combinations where they
    are few.

    Args:
        sample: The queries.
        values: Values of one system, float64 [all queries].
        baseline: Values of the other, float64 [all queries].
        permutations: How often the signs are drawn; p is at least 2 over this.
        seed: Makes it the same each time.

    Raises:
        MissingDependencyError: scipy is not installed.
    """
    differences = (values - baseline)[sample.rows] * sample.weights
    sums = np.bincount(_numbered(sample.units), weights=differences)
    # The sign of nothing changes nothing; and the two signs of a single difference are as far from zero.
    sums = sums[np.abs(sums) > 1e-12]
    if len(sums) < 2:
        return 1.0
    found = extra("scipy.stats").permutation_test(
        (sums,),
        lambda drawn, axis=-1: drawn.sum(axis=axis),
        permutation_type="samples",
        n_resamples=permutations,
        batch=_BATCH,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """Corrects p values for being many (Holm 1979): at 0.05, the chance that any of them is below it by luck is 0.05."""
    corrected = [0.0] * len(values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, values[place] * (len(values) - rank)))
        corrected[place] = highest
    return corrected


@dataclass(frozen=True)
class _Group:
    """Units of one dataset that have queries in the same strata: sums and counts of their values, [units, strata of them]."""

    strata: Ints
    sums: Floats
    counts: Floats


def _groups(sample: Sample, values: Floats) -> list[_Group]:
    strata, units = _numbered(sample.strata), _numbered(sample.units)
    shape = (int(units.max()) + 1, int(strata.max()) + 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (units, strata), values)
    np.add.at(counts, (units, strata), 1)
    # A unit belongs to one dataset, so the same strata are also those of the same dataset.
    alike: dict[bytes, list[int]] = {}
    for unit, present in enumerate(counts > 0):
        alike.setdefault(present.tobytes(), []).append(unit)
    groups = []
    for members in alike.values():
        present = np.flatnonzero(counts[members[0]])
        groups.append(_Group(present, sums[members][:, present], counts[members][:, present]))
    return groups


def _numbered(keys: Sequence[Hashable]) -> Ints:
    """Numbers keys in the order in which they come, intp [len(keys)]."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)
