"""Which queries are worth learning from (Tamber et al., arXiv 2502.19712, and the authors' code).

A query that was written by a model may be about nothing, or about many elements. It is kept when the element it was written for
is found by a retriever and, of what was found, liked best by the teacher, and when the teacher likes it at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from multiretriever.core.markdown import grid, line
from multiretriever.training.distill.lists import CandidateList
from multiretriever.training.distill.scoring import normalize, percentiles_of, raise_known
from multiretriever.training.distill.settings import DistillSettings

FILTERS = ("duplicate", "one candidate", "retriever rank", "teacher rank", "score percentile", "score")


@dataclass
class FilterReport:
    """How many lists there were, and how many each filter dropped.

    Attributes:
        given: Lists before the first filter.
        dropped: Lists dropped, by filter and kind of query.
        kept: Lists after the last filter, by kind of query.
    """

    given: int = 0
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)

    @property
    def by_filter(self) -> dict[str, int]:
        """Lists dropped by each filter, in the order in which they are applied."""
        return {name: sum(count for (found, _), count in self.dropped.items() if found == name) for name in FILTERS}

    def to_dict(self) -> dict[str, Any]:
        """Returns the counts as plain values."""
        return {"given": self.given, "dropped": self.by_filter, "kept": sum(self.kept.values()), "by_kind": self.rows()}

    def rows(self) -> list[dict[str, Any]]:
        """Returns a row for each kind of query: what each filter dropped, and what is left."""
        kinds = sorted({kind for _, kind in self.dropped} | set(self.kept))
        return [
            {"kind": kind, **{name: self.dropped[(name, kind)] for name in FILTERS}, "kept": self.kept[kind]} for kind in kinds
        ]

    def to_markdown(self) -> str:
        """Returns the rows as a Markdown table, with their sums."""
        head = ["kind", *FILTERS, "kept"]
        total = {"kind": "all", **self.by_filter, "kept": sum(self.kept.values())}
        return "\n".join([*grid(head, 1), *(line([str(row[name]) for name in head]) for row in [*self.rows(), total])])


class ListFilter:
    """Drops lists, and counts what it drops.

    Attributes:
        report: The counts.
    """

    def __init__(self, settings: DistillSettings) -> None:
        """Takes the bounds."""
        self._settings = settings
        self.report = FilterReport()

    def before(self, lists: Iterable[CandidateList]) -> list[CandidateList]:
        """Returns the lists that are worth scoring.

        Dropped are those of a query and positive that came before, those without a second candidate, and those whose positive is
        not among the first ``retriever_top`` of the fused ranking.
        """
        found = list(lists)
        self.report.given += len(found)
        found = self._keep("duplicate", found, _first_of_its_kind())
        found = self._keep("one candidate", found, lambda item: len(item.candidates) > 1)
        bound = self._settings.retriever_top
        return found if bound is None else self._keep("retriever rank", found, lambda item: 1 <= item.retrieved_rank <= bound)

    def after(self, lists: Iterable[CandidateList]) -> list[CandidateList]:
        """Returns the scored lists that are worth learning from, with comparable scores.

        Dropped are lists whose positive is not among the first ``teacher_top`` of the teacher's ranking; then those whose
        positive does not reach ``score_percentile`` of all scores that are left in its group, or, normalised, ``min_score``. As
        in the authors' code, the percentiles are those of the lists that the first of these filters left.
        """
        settings = self._settings
        found = list(lists)
        if (rank := settings.teacher_top) is not None:
            found = self._keep("teacher rank", found, lambda item: self._is_trusted(item) or item.teacher_rank <= rank)
        bounds = percentiles_of(found, settings.score_percentile)
        levelled = normalize(found, settings.normalization)
        # The percentile is one of the scores as they came; normalised ones are cut off at the ends.
        passed = iter([self._is_trusted(item) or item.positive_score >= bounds[item.group] for item in found])
        found = self._keep("score percentile", levelled, lambda item: next(passed))
        found = self._keep("score", found, lambda item: self._is_trusted(item) or item.positive_score >= settings.min_score)
        self.report.kept.update(item.kind for item in found)
        return [raise_known(item) for item in found] if settings.raise_known else found

    def _is_trusted(self, item: CandidateList) -> bool:
        return item.kind in self._settings.trusted_kinds

    def _keep(self, name: str, lists: Sequence[CandidateList], test: Callable[[CandidateList], bool]) -> list[CandidateList]:
        kept: list[CandidateList] = []
        for item in lists:
            if test(item):
                kept.append(item)
            else:
                self.report.dropped[(name, item.kind)] += 1
        return kept


def _first_of_its_kind() -> Callable[[CandidateList], bool]:
    seen: set[tuple[str, ...]] = set()

    def test(item: CandidateList) -> bool:
        key = (item.dataset, item.element_type, item.positive_id, " ".join(item.query.casefold().split()))
        is_new = key not in seen
        seen.add(key)
        return is_new

    return test
