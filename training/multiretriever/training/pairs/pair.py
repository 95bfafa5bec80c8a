"""A training pair: a query as the encoder reads it, one element that answers it, and some that do not.

Pairs are written as Parquet or JSON Lines, which ``datasets`` loads as they are.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiretriever.core import Element, Flow, InstructionSet, element_type
from multiretriever.core.example import Example
from multiretriever.core.instructions import Prompt
from multiretriever.core.prompts import make_prompt
from multiretriever.training.row_files import check_suffix, from_dict, read_rows, to_dict, write_rows


@dataclass(frozen=True)
class Pair:
    """One row of the training data.

    Attributes:
        query: Instruction, context and query: the whole text that the encoder reads.
        instruction: The first part of ``query``; blank without instructions.
        bare: What encoders without instructions and BM25 read: the short values of the context and the query's own text.
        context: Names of what is known beside the query's own text, such as ``table`` or ``flow``.
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
    instruction: str
    bare: str
    context: tuple[str, ...]
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

    @property
    def prompt(self) -> Prompt:
        """The query, its instruction apart."""
        return prompt_of(self.query, self.instruction, self.template)

    def to_dict(self) -> dict[str, Any]:
        """Returns the row as plain values."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Pair:
        """Makes a pair of a row; keys that it does not know are left out."""
        return from_dict(cls, row)


def prompt_of(query: str, instruction: str, template: str) -> Prompt:
    """Returns the prompt of a row, which keeps the whole text of its query and the instruction at its start."""
    return Prompt(instruction, query[len(instruction) + 1 :] if instruction else query, template or None)


# What somebody who builds a flow may not have filled in yet. None stands first: half of the flows are left as they are.
_LEFT_OUT: tuple[tuple[str, ...], ...] = ((), (), (), ("name", "label"), ("requirement",), ("name", "label", "scope"))


def element_text(element: Element, hidden: tuple[str, ...] = ()) -> str:
    """Returns the text that is embedded for an element.

    Args:
        element: The element.
        hidden: Attributes to leave out, since the query was made of them.
    """
    if hidden:
        element = element.model_copy(update={name: type(element).model_fields[name].get_default() for name in hidden})
    return element_type(element.element_type).text(element)


def query_text(example: Example, instructions: InstructionSet | None, rng: random.Random) -> Prompt:
    """Returns the query as the encoder reads it.

    A flow in its context is varied: parts of its head are left out of some, and inputs of steps out of some, as in flows that
    people are still building.
    """
    context = {key: _varied(value, rng) if isinstance(value, Flow) else value for key, value in example.context.items()}
    return make_prompt(example.query, example.element_type, context, instructions=instructions)


def _varied(flow: Flow, rng: random.Random) -> Flow:
    changes: Mapping[str, Any] = {name: "" for name in rng.choice(_LEFT_OUT)}
    flow = flow.model_copy(update=changes)
    if rng.random() < 1 / 3:
        steps = tuple(step.model_copy(update={"inputs": {}}) for step in flow.steps)
        flow = flow.model_copy(update={"steps": steps})
    return flow


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


_WHAT = "pairs"


def check_output(path: str | Path) -> Path:
    """Returns where pairs are to be written.

    Raises:
        ParameterError: The suffix is neither ``.parquet`` nor ``.jsonl``.
        MissingDependencyError: Parquet is asked for, and pyarrow is not installed.
    """
    return check_suffix(path, _WHAT)


def write_pairs(path: str | Path, pairs: Iterable[Pair]) -> int:
    """Writes pairs as they come and returns how many there were.

    The file appears when it is whole: until then, and when writing fails or is interrupted, one that was there stays as it is.

    Raises:
        ParameterError: The suffix is neither ``.parquet`` nor ``.jsonl``.
        MissingDependencyError: Parquet is asked for, and pyarrow is not installed.
    """
    return write_rows(path, pairs, Pair, what=_WHAT)


def read_pairs(path: str | Path) -> Iterator[Pair]:
    """Yields the pairs of a file, a batch in memory at a time.

    Raises:
        DatasetError: The file is not there or not one of pairs; or it lacks a column, as files of earlier versions do: make them
            anew.
        MissingDependencyError: It is Parquet, and pyarrow is not installed.
    """
    yield from read_rows(path, Pair)
