"""A list: one query, the candidates for it, and what a teacher thinks of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from multiretriever.core import Problem
from multiretriever.core.errors import DatasetError
from multiretriever.core.instructions import Prompt
from multiretriever.training.distill.prompts import split_prompt
from multiretriever.training.row_files import read_rows, write_rows


@dataclass(frozen=True)
class CandidateList:
    """One row of a list file.

    Attributes:
        query: Instruction, context and query: the whole text that the student reads.
        query_id: Id of the query.
        element_type: Type of the candidates.
        kind: Template id of the kind of query, as in ``Pair``.
        template: Id of the template whose instruction stands in ``query``; blank without instructions.
        language: Language of the query.
        dataset: Name of the dataset.
        candidate_ids: Ids of the candidates, each once, best first by the fused ranking.
        candidates: Their texts.
        positive: Place of the positive in ``candidate_ids``, from 0.
        known_ids: Ids of all elements that are known to answer the query, the positive among them.
        retrieved_rank: Place of the positive in the fused ranking without other known answers, from 1; 0 where it was not found.
        scores: The teacher's score of each candidate; empty before they are scored.
    """

    query: str
    query_id: str
    element_type: str
    kind: str
    template: str
    language: str
    dataset: str
    candidate_ids: tuple[str, ...]
    candidates: tuple[str, ...]
    positive: int
    known_ids: tuple[str, ...]
    retrieved_rank: int
    scores: tuple[float, ...] = ()

    @property
    def positive_id(self) -> str:
        """Id of the positive."""
        return self.candidate_ids[self.positive]

    @property
    def positive_score(self) -> float:
        """The teacher's score of the positive."""
        return self.scores[self.positive]

    @property
    def group(self) -> tuple[str, str, str]:
        """What lists share whose scores are compared: dataset, element type and kind of query."""
        return self.dataset, self.element_type, self.kind

    @property
    def teacher_rank(self) -> int:
        """Place of the positive in the teacher's ranking, from 1. Other known answers before it do not count."""
        known = set(self.known_ids)
        others = zip(self.candidate_ids, self.scores, strict=True)
        return 1 + sum(score > self.positive_score for item, score in others if item not in known)

    @property
    def prompt(self) -> Prompt:
        """The query, its instruction apart."""
        return split_prompt(self.query, self.template)


def write_lists(path: str | Path, lists: Iterable[CandidateList]) -> int:
    """Writes lists as Parquet or JSON Lines, whole or not at all, and returns how many there were. Raises as ``write_rows``."""
    return write_rows(path, lists, CandidateList, what="lists")


def read_lists(path: str | Path) -> Iterator[CandidateList]:
    """Gives the lists of a file.

    Raises:
        DatasetError: The file is not there or not one of lists, or a list has not as many ids, texts and scores.
        MissingDependencyError: It is Parquet, and pyarrow is not installed.
    """
    for number, item in enumerate(read_rows(path, CandidateList), start=1):
        count = len(item.candidate_ids)
        if len(item.candidates) != count or len(item.scores) not in (0, count) or not 0 <= item.positive < count:
            message = (
                f"a list has an id, a text and a score for each candidate, and a positive among them (got {count} ids, "
                f"{len(item.candidates)} texts, {len(item.scores)} scores, positive {item.positive})"
            )
            raise DatasetError([Problem(message, str(path), number)])
        yield item
