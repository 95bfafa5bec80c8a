"""Pairs as rows for the trainer, in groups, with a table that says which elements answer which row.

Rehearsed rows keep an encoder's vectors of common texts where its base has them. Tuning on instructions and elements also moves
what has nothing to do with them: questions and passages of other subjects, and element types of a user's own that no recipe saw.
These rows ask for the base's own answer, as learning without forgetting does (Li and Hoiem, arXiv 1606.09282, section 3), once
for the bare text and once below the general instruction, so that a query that has no instruction of its own is read as the base
would read it. Queries are short, and what they are to find is often long: passages are several queries, one after the other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiretriever.core import InstructionSet
from multiretriever.core.instructions import ANY_TYPE, Prompt
from multiretriever.core.query import check_context
from multiretriever.training.pairs import Pair
from multiretriever.training.token_window import TokenWindow

Places = NDArray[np.int64]


@dataclass
class Group:
    """All texts of the elements of one type of one dataset that occur in its pairs, as answers or as negatives.

    Negatives are drawn from the whole catalog, so that with some thousand pairs this is nearly all of it. An element has two
    texts where its description is hidden from the answer to some queries.

    Attributes:
        name: ``dataset/element_type``.
        texts: The texts, each once.
        ids: Id of the element of each text.
    """

    name: str
    texts: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    _places: dict[tuple[str, str], int] = field(default_factory=dict, repr=False)
    _of_id: dict[str, list[int]] = field(default_factory=dict, repr=False)

    def add(self, element_id: str, text: str) -> int:
        """Adds a text unless it is there, and returns its place."""
        place = self._places.setdefault((element_id, text), len(self.texts))
        if place == len(self.texts):
            self.texts.append(text)
            self.ids.append(element_id)
            self._of_id.setdefault(element_id, []).append(place)
        return place

    def places(self, element_ids: Iterable[str]) -> Places:
        """Returns the places of all texts of some elements."""
        found = [place for item in element_ids for place in self._of_id.get(item, ())]
        return np.array(found, dtype=np.int64)


@dataclass
class Answers:
    """Which texts answer each row. A row's number is its label in the trainer's data.

    Attributes:
        groups: The groups of texts.
        group: Number of each row's group.
        documents: Places of each row's own texts within its group: first the positive, then its negatives.
        known: Places of all texts of elements that are known to answer each row's query.
        held: Numbers of groups whose rows have no answer in them, but are kept where the base has them.
    """

    groups: list[Group] = field(default_factory=list)
    group: list[int] = field(default_factory=list)
    documents: list[Places] = field(default_factory=list)
    known: list[Places] = field(default_factory=list)
    held: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.group)

    def add(self, group: int, documents: Sequence[int], known: Sequence[int] | Places) -> None:
        """Adds a row."""
        self.group.append(group)
        self.documents.append(np.array(documents, dtype=np.int64))
        self.known.append(np.array(known, dtype=np.int64))


@dataclass(frozen=True)
class Rows:
    """Rows of one group, as columns.

    Attributes:
        queries: Queries as the encoder reads them.
        documents: For each row its positive, then its negatives.
        labels: Numbers of the rows in ``Answers``.
    """

    queries: list[str]
    documents: list[tuple[str, ...]]
    labels: list[int]


def make_rows(pairs: Sequence[Pair], *, negatives: int, cut: Callable[[Prompt], str]) -> tuple[dict[str, Rows], Answers]:
    """Sorts pairs into groups, one for each element type of each dataset: a batch never mixes them.

    An index has a collection for each type, so that an element of another type, or of another company, is never a wrong answer
    that a retriever could give: as a negative it would teach nothing.

    Args:
        pairs: The pairs.
        negatives: Negatives of each pair that become columns; pairs with fewer are left out.
        cut: Returns the text of a prompt, cut to what the encoder reads.
    """
    answers = Answers()
    numbers: dict[str, int] = {}
    for pair in pairs:
        _group_of(pair, answers, numbers)
    rows: dict[str, Rows] = {}
    for pair in pairs:
        if len(pair.negatives) < negatives:
            continue
        group = _group_of(pair, answers, numbers)
        own = ((pair.positive_id, pair.positive), *zip(pair.negative_ids, pair.negatives, strict=True))
        row = rows.setdefault(group.name, Rows([], [], []))
        row.queries.append(cut(pair.prompt))
        row.documents.append((pair.positive, *pair.negatives[:negatives]))
        row.labels.append(len(answers))
        places = [group.add(*item) for item in own[: negatives + 1]]
        answers.add(numbers[group.name], places, group.places({pair.positive_id, *pair.relevant_ids}))
    return rows, answers


def _group_of(pair: Pair, answers: Answers, numbers: dict[str, int]) -> Group:
    name = f"{pair.dataset}/{pair.element_type}"
    if name not in numbers:
        numbers[name] = len(answers.groups)
        answers.groups.append(Group(name))
    group = answers.groups[numbers[name]]
    for element_id, text in ((pair.positive_id, pair.positive), *zip(pair.negative_ids, pair.negatives, strict=True)):
        group.add(element_id, text)
    return group


def ranking_data(rows: dict[str, Rows]) -> Any:
    """Returns the rows for a ranking loss: query, positive, negatives, and the row's number as label."""
    from datasets import Dataset, DatasetDict

    made = {}
    for name, part in rows.items():
        columns: dict[str, Any] = {"query": part.queries, "positive": [texts[0] for texts in part.documents]}
        for place in range(1, len(part.documents[0])):
            columns[f"negative_{place}"] = [texts[place] for texts in part.documents]
        made[_key(name)] = Dataset.from_dict({**columns, "label": part.labels})
    return DatasetDict(made)


def contrastive_data(rows: dict[str, Rows]) -> Any:
    """Returns the rows for a contrastive loss: a query, a text, and whether the text answers it."""
    from datasets import Dataset, DatasetDict

    made = {}
    for name, part in rows.items():
        couples = [
            (query, text, float(place == 0))
            for query, texts in zip(part.queries, part.documents, strict=True)
            for place, text in enumerate(texts)
        ]
        queries, texts, labels = (list(column) for column in zip(*couples, strict=True))
        made[_key(name)] = Dataset.from_dict({"query": queries, "text": texts, "label": labels})
    return DatasetDict(made)


def _key(name: str) -> str:
    # DatasetDict takes a name for the name of a folder's part in places.
    return "".join(letter if letter.isalnum() else "_" for letter in name)


REHEARSAL = "rehearsal"
_IN_PASSAGE = (2, 5)  # queries of a passage, at least and at most: about 25 to 100 tokens


def rehearsal_texts(pairs: Iterable[Pair], most: int, passages: int = 0, seed: int = 0) -> list[str]:
    """Returns ``most`` bare queries at most, each once and in random order, then ``passages`` of several; none with a context."""
    texts = sorted({pair.bare for pair in pairs if not pair.context})
    chance = random.Random(seed)
    chance.shuffle(texts)
    counts = [min(chance.randint(*_IN_PASSAGE), len(texts)) for _ in range(passages if texts else 0)]
    return texts[:most] + [" ".join(chance.sample(texts, count)) for count in counts]


def add_rehearsal(
    rows: dict[str, Rows], answers: Answers, texts: Sequence[str], instructions: InstructionSet | None, window: TokenWindow
) -> None:
    """Adds rows whose query is a text below the general instruction, and whose answer is the base's vector of the bare text.

    Args:
        rows: Where they go, as a group of their own.
        answers: Learns their labels, and that the group is held.
        texts: The bare texts.
        instructions: Holds the general instruction; None leaves the text bare.
        window: Cuts what is too long.
    """
    if not texts:
        return
    answers.held.add(len(answers.groups))
    answers.groups.append(Group(REHEARSAL))
    row = rows.setdefault(REHEARSAL, Rows([], [], []))
    for text in texts:
        prompt = instructions.prompt(text, ANY_TYPE, check_context({})) if instructions is not None else None
        row.queries.append(window.cut(prompt) if prompt is not None else text)
        row.documents.append((text,))
        row.labels.append(len(answers))
        answers.add(len(answers.groups) - 1, (), ())
