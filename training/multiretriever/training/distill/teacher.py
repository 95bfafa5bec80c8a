"""Teachers: what says how well each candidate of a list fits its query."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from multiretriever.core import ParameterError
from multiretriever.core.errors import DatasetError, Problem
from multiretriever.training.distill.cross_encoder import CrossEncoderTeacher
from multiretriever.training.distill.lists import CandidateList
from multiretriever.training.distill.scores import Scores, stretched
from multiretriever.training.recipe import Precision
from multiretriever.training.row_files import read_values

SCORE_FILES = (".jsonl", ".parquet")


@runtime_checkable
class Teacher(Protocol):
    """Scores lists.

    Attributes:
        name: Name for people.
        fingerprint: Changes with everything that changes a score.
    """

    @property
    def name(self) -> str:
        """Name for people."""
        ...

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides a score."""
        ...

    def score(
        self, lists: Sequence[CandidateList], *, folder: Path | None = None, on_scored: Callable[[int, int], object] | None = None
    ) -> list[Scores]:
        """Scores the candidates of lists.

        Args:
            lists: The lists.
            folder: Where scores may be remembered, so that an interrupted run goes on where it was; None for nowhere.
            on_scored: Called with how many of how many candidates are scored, say for progress.

        Returns:
            For each list a score for each candidate; the larger, the better it fits. Finite, of any range.
        """
        ...


class FileTeacher:
    """Scores that somebody computed: rows with ``query_id``, ``candidate_id``, ``score`` and, where ids repeat, ``dataset``."""

    def __init__(self, path: str | Path) -> None:
        """Reads the scores.

        Raises:
            DatasetError: The file is not there, or a row is not valid.
            MissingDependencyError: It is Parquet, and pyarrow is not installed.
        """
        path = Path(path)
        self.name = path.name
        self._path = path
        self._scores: dict[tuple[str, str, str], float] = {}
        problems: list[Problem] = []
        for number, values in read_values(path):
            try:
                key = (str(values.get("dataset") or ""), str(values["query_id"]), str(values["candidate_id"]))
                score = float(values["score"])
            except (KeyError, TypeError, ValueError) as error:
                problems.append(Problem(f"expected query_id, candidate_id and a number as score ({error!r})", str(path), number))
                continue
            if not math.isfinite(score):
                problems.append(Problem(f"the score must be finite, got {score}", str(path), number, "score"))
            self._scores[key] = score
        if problems:
            raise DatasetError(problems)
        self.fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:16]

    def score(
        self, lists: Sequence[CandidateList], *, folder: Path | None = None, on_scored: Callable[[int, int], object] | None = None
    ) -> list[Scores]:
        """Looks the scores up.

        Raises:
            DatasetError: A candidate has none; the error lists them.
        """
        problems: list[Problem] = []
        found = [self._of(item, problems) for item in lists]
        if problems:
            raise DatasetError(problems)
        return found

    def _of(self, item: CandidateList, problems: list[Problem]) -> Scores:
        scores: list[float] = []
        for candidate in item.candidate_ids:
            score = self._scores.get((item.dataset, item.query_id, candidate), self._scores.get(("", item.query_id, candidate)))
            if score is None:
                problems.append(Problem(f"no score of candidate {candidate!r} for query {item.query_id!r}", str(self._path)))
            scores.append(math.nan if score is None else score)
        return tuple(scores)


class EnsembleTeacher:
    """Several teachers: the weighted mean of their scores, each stretched to 0 to 1 within a list, since their ranges differ."""

    def __init__(self, teachers: Sequence[Teacher], weights: Sequence[float] | None = None) -> None:
        """Takes the teachers.

        Args:
            teachers: The teachers.
            weights: Weight of each; None for equal ones.

        Raises:
            ParameterError: There is no teacher, or not as many positive weights.
        """
        given = tuple(weights) if weights is not None else (1.0,) * len(teachers)
        if not teachers or len(given) != len(teachers) or not all(0 < weight < math.inf for weight in given):
            raise ParameterError(f"an ensemble needs teachers, and a positive weight for each, got {len(teachers)}, {given}")
        self._teachers = tuple(teachers)
        self._weights = tuple(weight / sum(given) for weight in given)
        self.name = " + ".join(teacher.name for teacher in teachers)
        parts = [f"{teacher.fingerprint} {weight:.9f}" for teacher, weight in zip(teachers, self._weights, strict=True)]
        self.fingerprint = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def score(
        self, lists: Sequence[CandidateList], *, folder: Path | None = None, on_scored: Callable[[int, int], object] | None = None
    ) -> list[Scores]:
        """Lets each teacher score, one after another. Raises what they raise."""
        given = [teacher.score(lists, folder=folder, on_scored=on_scored) for teacher in self._teachers]
        return [self._mean(scores) for scores in zip(*given, strict=True)]

    def _mean(self, scores: Sequence[Scores]) -> Scores:
        parts = [stretched(found) for found in scores]
        return tuple(
            sum(weight * score for weight, score in zip(self._weights, found, strict=True)) for found in zip(*parts, strict=True)
        )


def load_teacher(
    spec: str | Path | Teacher | Sequence[str | Path | Teacher] | Mapping[str, float],
    *,
    max_tokens: int = 128,
    batch_size: int = 32,
    precision: Precision = "float32",
) -> Teacher:
    """Returns a teacher.

    Args:
        spec: Folder of a cross-encoder; file of scores (``.jsonl``, ``.parquet``); a teacher, returned as it is; several of
            these for an ensemble, or paths with their weights.
        max_tokens: Tokens that a cross-encoder reads.
        batch_size: Pairs that it scores at once.
        precision: Numbers that it computes with.

    Raises:
        ParameterError: It is none of these.
        EncoderError: A cross-encoder cannot be loaded.
        DatasetError: A file of scores is not valid.
    """
    if isinstance(spec, str | Path):
        if Path(spec).suffix.lower() in SCORE_FILES:
            return FileTeacher(spec)
        return CrossEncoderTeacher(spec, max_tokens=max_tokens, batch_size=batch_size, precision=precision)
    if isinstance(spec, Teacher):
        return spec
    if not isinstance(spec, Sequence | Mapping) or not spec:
        raise ParameterError(
            f"a teacher is a folder, a file of scores, an object with the methods of Teacher, or several, got {spec!r}"
        )
    members = [load_teacher(item, max_tokens=max_tokens, batch_size=batch_size, precision=precision) for item in spec]
    return (
        members[0] if len(members) == 1 else EnsembleTeacher(members, list(spec.values()) if isinstance(spec, Mapping) else None)
    )
