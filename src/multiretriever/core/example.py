"""A query with its answers: what evaluation measures and training learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GIVEN = "given"
"""Kind of the queries that somebody wrote down with their answers."""


@dataclass(frozen=True)
class Example:
    """A query and the elements that answer it.

    Attributes:
        id: Unique within its dataset.
        element_type: Type of the elements that are looked for.
        query: The query's own text.
        relevant: Ids of all elements that answer it, each once, in the order of their use.
        context: What else is known, as for ``QueryContext``.
        kind: Id of the instruction template that the kind of query is for, such as ``step.annotation``; ``given`` for queries
            that somebody wrote down with their answers.
        language: Language of the query, as an ISO 639-1 code.
        nearby: Ids of the other elements of the type that the same flow uses: near misses, which make hard negatives.
        hidden: Attributes to be left out of the text of the relevant elements, since the query was made of them.
    """

    id: str
    element_type: str
    query: str
    relevant: tuple[str, ...]
    context: Mapping[str, Any] = field(default_factory=dict)
    kind: str = GIVEN
    language: str = "en"
    nearby: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
