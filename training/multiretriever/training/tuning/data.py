"""From the datasets of a recipe to pairs."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence

from multiretriever.core import Encoder, Flow, InstructionSet
from multiretriever.core.datasets import Dataset
from multiretriever.core.errors import ParameterError, TrainingError
from multiretriever.training.pairs import DatasetReport, Pair, PairBuilder
from multiretriever.training.recipe import DataSection

ALL_KINDS = "*"
MOST_REPEATS = 4


def training_pairs(
    datasets: Sequence[Dataset],
    section: DataSection,
    *,
    instructions: InstructionSet | None,
    encoder: Encoder | None = None,
    on_flow: Callable[[Flow], None] = lambda flow: None,
) -> tuple[list[Pair], list[DatasetReport]]:
    """Makes the pairs of some datasets, in random order, and the reports on them.

    Raises:
        TrainingError: There is not one pair.
        DatasetError, FlowError: A query or a flow is not valid.
        ParameterError: Negatives are to be mined without an encoder.
    """
    if not datasets:
        raise ParameterError("no dataset to train on; name folders with flows or queries under data.datasets, or by --data")
    builders = [
        PairBuilder(dataset, section.pairs, instructions=instructions, encoder=encoder, on_flow=on_flow) for dataset in datasets
    ]
    pairs = [pair for builder in builders for pair in builder.build()]
    if section.element_types:
        pairs = [pair for pair in pairs if pair.element_type in section.element_types]
    random.Random(section.pairs.seed).shuffle(pairs)
    if section.answers_per_query is not None:
        pairs = _first(pairs, lambda pair: (pair.dataset, pair.query_id), lambda pair: section.answers_per_query or 0)
    limits = section.per_kind
    pairs = _first(
        pairs,
        lambda pair: (pair.dataset, pair.element_type, pair.kind),
        lambda pair: limits.get(pair.kind, limits.get(ALL_KINDS, len(pairs))),
    )
    pairs = _repeated(pairs, section.least_per_type)
    if not pairs:
        names = ", ".join(dataset.name for dataset in datasets)
        raise TrainingError(f"no training pairs in {names}: they have neither flows nor queries of the kinds that are asked for")
    return pairs, [builder.report for builder in builders]


def _first(pairs: Sequence[Pair], key: Callable[[Pair], Hashable], limit: Callable[[Pair], int]) -> list[Pair]:
    """Returns the first pairs of each key, as many as its limit says."""
    taken: Counter[Hashable] = Counter()
    kept = []
    for pair in pairs:
        taken[key(pair)] += 1
        if taken[key(pair)] <= limit(pair):
            kept.append(pair)
    return kept


def _repeated(pairs: Sequence[Pair], least: int) -> list[Pair]:
    by_type: defaultdict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_type[(pair.dataset, pair.element_type)].append(pair)
    times = {key: min(MOST_REPEATS, -(-least // len(found))) for key, found in by_type.items()}
    return [pair for key, found in by_type.items() for pair in found * max(1, times[key])]
