"""From scored lists to the rows that ``DistillationLoss`` learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multiretriever.core import ParameterError, Problem
from multiretriever.core.errors import DatasetError, MissingDependencyError
from multiretriever.training.distill.lists import CandidateList

QUERY, DOCUMENT, LABEL = "query", "document_{}", "label"
PADDED_SCORE = float("-inf")
PADDED_ID = -1.0
# Labels reach the loss as 32-bit floats, which hold whole numbers up to here.
_MAX_IDS = 2**24


def to_rows(lists: Sequence[CandidateList], length: int) -> Any:
    """Returns a ``datasets.Dataset`` with the columns ``query``, ``document_1`` to ``document_N`` and ``label``.

    ``document_1`` is the positive; the other candidates follow in their order, and those after the N-th are left out. Shorter
    lists are padded with empty texts. ``label`` holds three rows of one width, W, which is N or the most known answers of any
    query, whatever is more:

    - the teacher's scores of the documents; ``-inf`` for padding;
    - a number for each document: the same element has the same number in all rows; -1 for padding;
    - the numbers of all known answers of the query; -1 for what is left.

    Labels are the one column that a sentence-transformers trainer does not take for text, so that is where numbers have to be.

    Args:
        lists: Scored lists, with normalised scores.
        length: N.

    Raises:
        DatasetError: A list has no scores.
        ParameterError: There are more elements than numbers, or the length is below 2.
        MissingDependencyError: datasets is not installed.
    """
    if length < 2:
        raise ParameterError(f"a list has 2 or more documents (got a length of {length})")
    problems = [
        Problem("the list has no scores", item.dataset, None, f"query {item.query_id}") for item in lists if not item.scores
    ]
    if problems:
        raise DatasetError(problems)
    datasets = _datasets()
    numbers: dict[tuple[str, str, str], int] = {}
    width = max([length, *(len(item.known_ids) for item in lists)])
    columns: dict[str, list[Any]] = {QUERY: [], **{DOCUMENT.format(place + 1): [] for place in range(length)}, LABEL: []}
    for item in lists:
        order = _order(item, length)
        columns[QUERY].append(item.query)
        for place in range(length):
            columns[DOCUMENT.format(place + 1)].append(item.candidates[order[place]] if place < len(order) else "")
        columns[LABEL].append(_label(item, order, width, numbers))
    if len(numbers) > _MAX_IDS:
        raise ParameterError(f"lists name {len(numbers):,} elements; {_MAX_IDS:,} can be told apart: train in parts")
    text = datasets.Value("string")
    kinds = {name: text for name in columns} | {LABEL: datasets.Sequence(datasets.Sequence(datasets.Value("float32")))}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))


def _order(item: CandidateList, length: int) -> list[int]:
    others = [place for place in range(len(item.candidates)) if place != item.positive]
    return [item.positive, *others][:length]


def _label(
    item: CandidateList, order: Sequence[int], width: int, numbers: dict[tuple[str, str, str], int]
) -> tuple[list[float], list[float], list[float]]:
    def number(element_id: str) -> float:
        return float(numbers.setdefault((item.dataset, item.element_type, element_id), len(numbers)))

    parts = (
        (PADDED_SCORE, [item.scores[place] for place in order]),
        (PADDED_ID, [number(item.candidate_ids[place]) for place in order]),
        (PADDED_ID, [number(element_id) for element_id in item.known_ids]),
    )
    scores, ids, known = (values + [padding] * (width - len(values)) for padding, values in parts)
    return scores, ids, known


def _datasets() -> Any:
    try:
        import datasets  # it takes seconds to import
    except ImportError as error:
        raise MissingDependencyError('datasets is not installed: pip install "multiretriever[train]"') from error
    return datasets
