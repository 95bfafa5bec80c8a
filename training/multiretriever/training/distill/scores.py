"""Making a teacher's scores comparable, and remembering them while they are computed."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from multiretriever.training.distill.lists import CandidateList
from multiretriever.training.recipe import Normalization

LOW, HIGH = 1.0, 99.0
Scores = tuple[float, ...]


def percentiles_of(lists: Iterable[CandidateList], share: float) -> dict[tuple[str, str, str], float]:
    """Returns for each group of lists (``CandidateList.group``) the percentile of all its scores."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for item in lists:
        found.setdefault(item.group, []).extend(item.scores)
    return {group: float(np.percentile(scores, share)) for group, scores in found.items()}


def normalize(lists: Sequence[CandidateList], how: Normalization) -> list[CandidateList]:
    """Brings scores to 0 to 1.

    The paper's teachers give logits. Its authors' code (github.com/manveertamber/cadet-dense-retrieval) puts the 1st percentile
    of all scores of a corpus and a kind of query at 0 and the 99th at 1, and cuts off what lies outside; only so do a temperature
    of 0.3 and a mask at 0.6 of the best score mean something. Within a list the range stays what it is: a list in which nothing
    fits is not stretched to look like one with a clear answer.

    Args:
        lists: Scored lists.
        how: See ``DistillSettings.normalization``.
    """
    if how == "none":
        return list(lists)
    if how == "sigmoid":
        return [replace(item, scores=tuple(map(_sigmoid, item.scores))) for item in lists]
    if how == "lists":
        return [replace(item, scores=stretched(item.scores)) for item in lists]
    low, high = percentiles_of(lists, LOW), percentiles_of(lists, HIGH)
    return [replace(item, scores=stretched(item.scores, low[item.group], high[item.group])) for item in lists]


def stretched(scores: Scores, low: float | None = None, high: float | None = None) -> Scores:
    """Returns scores of which ``low`` becomes 0 and ``high`` 1, cut off there; by default the list's own extremes.

    Where both are one, all scores are 1: each is as good as the best.
    """
    low = min(scores) if low is None else low
    high = max(scores) if high is None else high
    return tuple(min(1.0, max(0.0, (score - low) / (high - low))) if high > low else 1.0 for score in scores)


def raise_known(item: CandidateList) -> CandidateList:
    """Gives the known answers of a list its best score: what people said before what the teacher thinks."""
    best, known = max(item.scores), set(item.known_ids)
    raised = (best if name in known else score for name, score in zip(item.candidate_ids, item.scores, strict=True))
    return replace(item, scores=tuple(raised))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def key_of(query: str, text: str) -> str:
    """Returns the key under which the score of a query and a text is remembered."""
    return hashlib.blake2b(f"{query}\0{text}".encode(), digest_size=12).hexdigest()


class ScoreLog:
    """Scores on disk, one a line, that only ever grow: a process that is killed loses no more than its last batch."""

    def __init__(self, path: Path) -> None:
        """Takes the file, which need not be there yet."""
        self._path = path

    def read(self) -> dict[str, float]:
        """Returns all scores by key. A last line that was not finished is cut off the file."""
        if not self._path.is_file():
            return {}
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self._path.open("r+b") as file:
                file.truncate(whole)
        found: dict[str, float] = {}
        for line in data[:whole].splitlines():
            try:
                key, score = json.loads(line)
                found[str(key)] = float(score)
            except (ValueError, TypeError):  # Not from us, or damaged: it is computed again.
                continue
        return found

    def add(self, scores: Mapping[str, float]) -> None:
        """Writes scores; they are on the disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps([key, score]) + "\n" for key, score in scores.items())
            file.flush()
            os.fsync(file.fileno())
