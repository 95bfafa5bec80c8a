"""Dense recall on dev sets while an encoder is trained."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator

from multiretriever.core import InstructionSet, element_type
from multiretriever.core.prompts import make_prompt
from multiretriever.datasets import Dataset
from multiretriever.training.pairs.pair import element_text
from multiretriever.training.token_window import TokenWindow

RECALL = "recall"


@dataclass(frozen=True)
class _Part:
    name: str
    documents: list[str]
    queries: list[str]
    relevant: list[np.ndarray[Any, Any]]
    k: int


class DevRecall(SentenceEvaluator):  # type: ignore[misc]  # sentence-transformers is untyped
    """Recall at the default k of each element type, over all elements of the type; its mean over dataset and type chooses.

    sentence-transformers' ``InformationRetrievalEvaluator`` is for one corpus with one set of cutoffs, and would put the prompts
    of the checkpoint before queries that have theirs already.
    """

    def __init__(
        self, datasets: Sequence[Dataset], window: TokenWindow, instructions: InstructionSet | None, queries: int
    ) -> None:
        """Prepares queries and documents.

        Args:
            datasets: The dev sets.
            window: Cuts queries to what is read.
            instructions: What stands before queries.
            queries: Queries of each type of each dataset at most.
        """
        super().__init__()
        self.greater_is_better = True
        self.primary_metric = RECALL
        self._parts = [part for dataset in datasets for part in _parts(dataset, window, instructions, queries)]

    def __call__(self, model: Any, output_path: str | None = None, epoch: float = -1, steps: int = -1) -> dict[str, float]:
        """Returns the recall of each part and their mean."""
        found = {part.name: _recall(model, part) for part in self._parts}
        found[RECALL] = float(np.mean(list(found.values())))
        return found


def _parts(dataset: Dataset, window: TokenWindow, instructions: InstructionSet | None, limit: int) -> list[_Part]:
    by_type: dict[str, list[Any]] = {}
    for example in dataset.examples():
        by_type.setdefault(example.element_type, []).append(example)
    parts = []
    for name, examples in sorted(by_type.items()):
        chosen = random.Random(f"{dataset.name}/{name}").sample(examples, min(limit, len(examples)))
        elements = dataset.catalog.of(name)
        places = {element.id: place for place, element in enumerate(elements)}
        prompts = (make_prompt(item.query, name, item.context, instructions=instructions) for item in chosen)
        parts.append(
            _Part(
                name=f"{dataset.name}/{name}",
                documents=[element_text(element) for element in elements],
                queries=[window.cut(prompt) for prompt in prompts],
                relevant=[np.array([places[item] for item in example.relevant if item in places]) for example in chosen],
                k=element_type(name).default_k,
            )
        )
    return parts


def _recall(model: Any, part: _Part) -> float:
    documents, queries = (
        model.encode(texts, batch_size=64, show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=True)
        for texts in (part.documents, part.queries)
    )
    scores = queries @ documents.T
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, : part.k]
    shares = [np.isin(right, row).mean() for right, row in zip(part.relevant, nearest, strict=True) if len(right)]
    return float(np.mean(shares)) if shares else 0.0
