"""Rehearsal: rows that keep an encoder's vectors of common texts where its base has them, against forgetting.

Tuning on instructions and elements also moves what has nothing to do with them: questions and passages of other subjects, and
element types of a user's own that no recipe saw. Rehearsed rows ask for the base's own answer, as learning without forgetting
does (Li and Hoiem, arXiv 1606.09282, section 3), once for the bare text and once below the general instruction. So a query that
has no instruction of its own is read as the base would read it. Queries are short, and what they are to find is often long:
passages are several queries, one after the other.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from multiretriever.core import InstructionSet
from multiretriever.core.instructions import ANY_TYPE
from multiretriever.core.query import check_context
from multiretriever.core.yaml_io import parse_yaml
from multiretriever.training.pairs import Pair
from multiretriever.training.tuning.rows import Answers, Group, Rows
from multiretriever.training.tuning.window import TrainingWindow

REHEARSAL = "rehearsal"
_IN_PASSAGE = (2, 5)  # queries of a passage, at least and at most: about 25 to 100 tokens


def rehearsal_texts(pairs: Iterable[Pair], most: int, passages: int = 0, seed: int = 0) -> list[str]:
    """Returns ``most`` bare queries at most, each once and in random order, then ``passages`` of several; none with a context."""
    texts = sorted({text for pair in pairs if (text := _bare(pair))})
    chance = random.Random(seed)
    chance.shuffle(texts)
    counts = [min(chance.randint(*_IN_PASSAGE), len(texts)) for _ in range(passages if texts else 0)]
    return texts[:most] + [" ".join(chance.sample(texts, count)) for count in counts]


def _bare(pair: Pair) -> str:
    """Returns the query of a pair without its instruction; blank where context stands beside it."""
    if not pair.template:
        return pair.query
    body = pair.query.partition("\n")[2]
    documents = parse_yaml(body, "query")
    value = documents[0].value if isinstance(documents, Sequence) and documents else None
    return next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else ""


def add_rehearsal(
    rows: dict[str, Rows], answers: Answers, texts: Sequence[str], instructions: InstructionSet | None, window: TrainingWindow
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
