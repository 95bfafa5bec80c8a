"""Which queries of a dataset are evaluated."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass

from multiretriever.core.datasets import GIVEN, Dataset, Example
from multiretriever.core.errors import ParameterError
from multiretriever.core.registry import element_type


@dataclass(frozen=True)
class Selection:
    """What queries must be to be evaluated; None leaves a choice open.

    Attributes:
        split: Split of the dataset.
        kinds: Kinds of queries; None for those that the dataset has for evaluation.
        element_types: Types that are looked for.
        languages: Languages of queries.
        sample: How many of each dataset and element type at most.
        seed: Seed by which they are drawn.
    """

    split: str | None = None
    kinds: tuple[str, ...] | None = None
    element_types: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    sample: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sample is not None and (isinstance(self.sample, bool) or not isinstance(self.sample, int) or self.sample < 1):
            raise ParameterError(f"a sample is a whole number of queries from 1 (got {self.sample!r})")
        if self.element_types is not None:
            object.__setattr__(self, "element_types", tuple(element_type(name).name for name in self.element_types))

    def examples(self, dataset: Dataset) -> dict[str, list[Example]]:
        """Returns the queries of a dataset by element type.

        Raises:
            ParameterError: There is no such split.
            DatasetError, FlowError: A file of the dataset is not valid.
        """
        found: dict[str, list[Example]] = {}
        for example in dataset.examples(self.split, self.kinds):
            if _in(example.element_type, self.element_types) and _in(example.language, self.languages):
                found.setdefault(example.element_type, []).append(example)
        return {name: self._drawn(examples) for name, examples in found.items()}

    def _drawn(self, examples: list[Example]) -> list[Example]:
        if self.sample is None or len(examples) <= self.sample:
            return examples
        chosen = set(random.Random(self.seed).sample(range(len(examples)), self.sample))
        return [example for place, example in enumerate(examples) if place in chosen]


def _in(value: str, wanted: Collection[str] | None) -> bool:
    return wanted is None or value in wanted


def unit_of(example: Example) -> str:
    """Returns what a query must be drawn with: the flow that it was made of, which its id starts with, or itself."""
    return example.id if example.kind == GIVEN else example.id.partition("#")[0]
