"""A training pair: a query as the encoder reads it, one element that answers it, and some that do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from multiretriever.training.row_files import from_dict, to_dict


@dataclass(frozen=True)
class Pair:
    """One row of the training data.

    Attributes:
        query: Instruction, context and query: the whole text that the encoder reads.
        positive: Text of an element that answers the query.
        negatives: Texts of elements of the same type that do not.
        element_type: Type of the elements.
        kind: Template id of the kind of query, such as ``step.annotation``; ``given`` for queries that somebody wrote down.
        template: Id of the template whose instruction stands in ``query``; blank without instructions.
        language: Language of the query, as an ISO 639-1 code.
        dataset: Name of the dataset.
        query_id: Id of the query; pairs of one query have the same.
        positive_id: Id of the element of ``positive``.
        negative_ids: Ids of the elements of ``negatives``.
        negative_kinds: Where each negative comes from: ``random``, ``scope``, ``table``, ``flow``, ``sibling`` or ``mined``.
        relevant_ids: Ids of all elements that answer the query, for losses that take other rows' positives as negatives.
    """

    query: str
    positive: str
    negatives: tuple[str, ...]
    element_type: str
    kind: str
    template: str
    language: str
    dataset: str
    query_id: str
    positive_id: str
    negative_ids: tuple[str, ...]
    negative_kinds: tuple[str, ...]
    relevant_ids: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns the row as plain values."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Pair:
        """Makes a pair of a row; keys that it does not know are left out."""
        return from_dict(cls, row)
