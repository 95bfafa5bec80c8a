"""Which written queries are kept: none that is a copy of what it looks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from multiretriever.core.datasets import Dataset, Example
from multiretriever.core.evaluation.leakage import find_leaks, words_of
from multiretriever.training.queries.documents import Document

LONGEST_QUERY = 400
LONGEST_RUN = 8
"""So many words of a description at most may stand in a query side by side, as they stand there."""


def fault(query: str, document: Document) -> str | None:
    """Tells why a query is of no use for its document; None for one that is.

    Returns:
        ``empty``; ``long``; ``name``: it is nothing but the label or name; ``copy``: more than ``LONGEST_RUN`` words of the
        description stand in it side by side, or all of it stands in the description.
    """
    words, element = words_of(query), document.element
    if not words:
        return "empty"
    if len(query) > LONGEST_QUERY:
        return "long"
    if words in (words_of(element.label), words_of(element.name), words_of(element.name.replace("_", " "))):
        return "name"
    prose = _spaced(words_of(element.description))
    run = min(len(words), LONGEST_RUN + 1)
    # A word or two of a description are no copy of it.
    copied = run > 2 and any(_spaced(words[place : place + run]) in prose for place in range(len(words) - run + 1))
    return "copy" if copied else None


def _spaced(words: tuple[str, ...]) -> str:
    return f" {' '.join(words)} "


def sift(dataset: Dataset, examples: Iterable[Example], dropped: Counter[str]) -> list[Example]:
    """Returns the queries that are kept: each once for an element, and none that stands in any element of its type.

    Args:
        dataset: Where the elements are.
        examples: Written queries.
        dropped: Counts what was left out, by why: ``twice``, ``leak``.
    """
    unique: dict[tuple[str, str, tuple[str, ...]], Example] = {}
    for example in examples:
        key = (example.element_type, " ".join(words_of(example.query)), example.relevant)
        dropped["twice"] += key in unique
        unique.setdefault(key, example)
    leaking = {leak.query_id for leak in find_leaks(dataset, unique.values())}
    dropped["leak"] += len(leaking)
    return [example for example in unique.values() if example.id not in leaking]
