"""All answers of a query that are known anywhere, so that none of them is taken for a wrong one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from multiretriever.core.datasets import Example


class KnownAnswers:
    """The union of the answers of equal queries: "tell them" stands in many flows, for many steps.

    Queries are equal when type, text (without case and spacing) and table are. What is kept of a query is 8 bytes and the
    numbers of its answers, so that the queries of 100,000 flows fit into memory.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._ids: list[str] = []
        self._answers: dict[int, tuple[int, ...]] = {}

    def add(self, example: Example) -> None:
        """Remembers the answers of a query."""
        key = _key(example.element_type, example.query, example.context)
        numbers = tuple(self._number(example.element_type, item) for item in example.relevant)
        before = self._answers.get(key)
        if before is None:
            self._answers[key] = numbers
        elif not set(numbers) <= set(before):
            self._answers[key] = tuple(dict.fromkeys((*before, *numbers)))

    def of(self, example: Example) -> frozenset[str]:
        """Returns the ids of all known answers of a query, its own among them."""
        key = _key(example.element_type, example.query, example.context)
        return frozenset((*example.relevant, *(self._ids[number] for number in self._answers.get(key, ()))))

    def __len__(self) -> int:
        return len(self._answers)

    def _number(self, element_type: str, element_id: str) -> int:
        number = self._numbers.setdefault((element_type, element_id), len(self._ids))
        if number == len(self._ids):
            self._ids.append(element_id)
        return number


def _key(element_type: str, query: str, context: Mapping[str, Any]) -> int:
    text = "\0".join((element_type, str(context.get("table", "")), " ".join(query.casefold().split())))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
