"""How close a smaller encoder stays to the one that it was made from: cosine, the top 15, and the recall that is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from multiretriever.core import InstructionSet, element_type
from multiretriever.core.encoders.base import Vectors
from multiretriever.core.errors import CatalogError, Problem
from multiretriever.core.example import Example
from multiretriever.core.instructions import Prompt
from multiretriever.core.prompts import make_prompt
from multiretriever.datasets import Dataset, open_dataset

Encode: TypeAlias = Callable[[Sequence[str]], Vectors]

OVERLAP_DEPTH = 15
LEAST_OVERLAP = 0.95
MOST_LOSS = 0.5


@dataclass(frozen=True)
class TypeFidelity:
    """The two encoders on one element type of one dataset.

    Attributes:
        documents: Elements that are searched.
        queries: Queries with at least one relevant element among them.
        cosine_mean: Mean cosine between both vectors of a text, documents and queries together.
        cosine_min: The lowest.
        overlap: Mean share of the 15 best elements (or of all, where there are fewer) that both encoders find.
        depth: k of recall@k.
        recall_reference: Mean recall@k of the reference, 0 to 1.
        recall_candidate: Mean recall@k of the candidate, 0 to 1.
        loss: Recall that the candidate loses, in points (hundredths); below 0 where it gains.
    """

    dataset: str
    element_type: str
    documents: int
    queries: int
    cosine_mean: float
    cosine_min: float
    overlap: float
    depth: int
    recall_reference: float
    recall_candidate: float
    loss: float


@dataclass(frozen=True)
class FidelityReport:
    """The two encoders on all datasets.

    Attributes:
        types: One entry for each element type of each dataset.
    """

    types: tuple[TypeFidelity, ...]

    @property
    def cosine_mean(self) -> float:
        """Mean cosine, each type weighing the same."""
        return fmean(item.cosine_mean for item in self.types)

    @property
    def cosine_min(self) -> float:
        """The lowest cosine of any text."""
        return min(item.cosine_min for item in self.types)

    @property
    def overlap(self) -> float:
        """Mean overlap of the top 15, each type weighing the same."""
        return fmean(item.overlap for item in self.types)

    @property
    def losses(self) -> dict[str, float]:
        """Points of recall lost on each dataset, averaged over its types."""
        names = dict.fromkeys(item.dataset for item in self.types)
        return {name: fmean(item.loss for item in self.types if item.dataset == name) for name in names}

    @property
    def within_bounds(self) -> bool:
        """Whether no dataset loses more than half a point of recall and the overlap is at least 0.95."""
        return self.overlap >= LEAST_OVERLAP and all(loss <= MOST_LOSS for loss in self.losses.values())

    def to_dict(self) -> dict[str, Any]:
        """Returns all numbers as JSON values, rounded to what the floats carry."""
        content = {
            "cosine_mean": self.cosine_mean,
            "cosine_min": self.cosine_min,
            "top15_overlap": self.overlap,
            "recall_loss_points": self.losses,
            "bounds": {"top15_overlap_at_least": LEAST_OVERLAP, "recall_loss_points_at_most": MOST_LOSS},
            "within_bounds": self.within_bounds,
            "types": [asdict(item) for item in self.types],
        }
        return {key: _rounded(value) for key, value in content.items()}


@dataclass(frozen=True)
class _Task:
    """Queries of one element type and the documents that they search."""

    dataset: str
    element_type: str
    documents: list[str]
    queries: list[str]
    relevant: list[set[int]]


def measure_fidelity(
    reference_encode: Encode,
    candidate_encode: Encode,
    datasets: Iterable[str | Path],
    *,
    instructions: InstructionSet | None = None,
    fit: Callable[[Prompt], str] = lambda prompt: prompt.text,
) -> FidelityReport:
    """Compares two encoders on the queries of datasets, each put to both as retrieval would put it.

    Args:
        reference_encode: Texts to float32 [len(texts), dimension], rows of length 1.
        candidate_encode: The same for the encoder in question.
        datasets: Dataset folders, ``FOLDER`` or ``FOLDER@SPLIT``.
        instructions: Instructions that the encoders were trained with.
        fit: Cuts a query to what the encoders read.

    Raises:
        CatalogError: A catalog cannot be read, or there is no query to measure with.
        DatasetError, FlowError: Queries or flows cannot be read.
        ParameterError: A dataset has no such split.
    """
    tasks = [task for spec in datasets for task in _read_tasks(open_dataset(spec), instructions, fit)]
    if not tasks:
        raise CatalogError([Problem("no dataset has a query with a relevant element; nothing can be measured", "datasets")])
    return FidelityReport(tuple(_measure(reference_encode, candidate_encode, task) for task in tasks))


def _measure(reference_encode: Encode, candidate_encode: Encode, task: _Task) -> TypeFidelity:
    texts = [*task.documents, *task.queries]
    reference, candidate = reference_encode(texts), candidate_encode(texts)
    count, depth = len(task.documents), element_type(task.element_type).default_k
    cosines = np.einsum("td,td->t", reference, candidate)
    expected, found = _best(reference, count), _best(candidate, count)
    recalls = [_recall(task.relevant, rows, depth) for rows in (expected, found)]
    return TypeFidelity(
        dataset=task.dataset,
        element_type=task.element_type,
        documents=count,
        queries=len(task.queries),
        cosine_mean=float(cosines.mean()),
        cosine_min=float(cosines.min()),
        overlap=fmean(len(set(first) & set(second)) / len(first) for first, second in zip(expected, found, strict=True)),
        depth=depth,
        recall_reference=recalls[0],
        recall_candidate=recalls[1],
        loss=100 * (recalls[0] - recalls[1]),
    )


def _recall(relevant: list[set[int]], rows: list[list[int]], depth: int) -> float:
    return fmean(len(wanted & set(row[:depth])) / len(wanted) for wanted, row in zip(relevant, rows, strict=True))


def _best(vectors: Vectors, count: int) -> list[list[int]]:
    """Returns the positions of the 15 best documents for each query; the first ``count`` vectors are documents."""
    best: NDArray[np.int64] = np.argsort(-(vectors[count:] @ vectors[:count].T), axis=1, kind="stable")[:, :OVERLAP_DEPTH]
    rows: list[list[int]] = best.tolist()
    return rows


def _read_tasks(dataset: Dataset, instructions: InstructionSet | None, fit: Callable[[Prompt], str]) -> Iterator[_Task]:
    by_type: dict[str, list[Example]] = {}
    for example in dataset.examples():
        by_type.setdefault(example.element_type, []).append(example)
    for name, examples in by_type.items():
        elements = dataset.catalog.of(name)
        places = {element.id: place for place, element in enumerate(elements)}
        pairs = [
            (fit(make_prompt(item.query, name, item.context, instructions=instructions)), relevant)
            for item in examples
            if (relevant := {places[answer] for answer in item.relevant if answer in places})
        ]
        if pairs:
            texts = [element_type(name).text(element) for element in elements]
            yield _Task(dataset.name, name, texts, [query for query, _ in pairs], [found for _, found in pairs])


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
