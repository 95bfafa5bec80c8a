"""What was made: counts by kind of query, and how often each element is an answer before and after balancing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from multiretriever.core.markdown import grid, line
from multiretriever.training.pairs.balancing import Use
from multiretriever.training.pairs.pair import Pair


@dataclass
class DatasetReport:
    """Counts of one dataset.

    Attributes:
        name: Name of the dataset.
        flows: Flows that pairs were made of.
        queries: Queries by element type and kind.
        uses: How often an element answers a query of a kind.
        kept: The same, of the pairs that were made.
        negatives: Negatives by where they come from.
        unknown: Definitions in flows that the catalog does not have, with how often they come; they make no pairs.
    """

    name: str
    flows: int = 0
    queries: Counter[tuple[str, str]] = field(default_factory=Counter)
    uses: Counter[Use] = field(default_factory=Counter)
    kept: Counter[Use] = field(default_factory=Counter)
    negatives: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def add(self, pair: Pair) -> None:
        """Counts a pair that was made."""
        self.kept[(pair.element_type, pair.kind, pair.positive_id)] += 1
        self.negatives.update(pair.negative_kinds)

    def rows(self) -> list[dict[str, Any]]:
        """Returns a row for each element type and kind: queries, distinct answers, pairs before and after balancing."""
        before, after = _sums(self.uses), _sums(self.kept)
        answers = Counter(use[:2] for use in self.uses)
        return [
            {
                "dataset": self.name,
                "element_type": key[0],
                "kind": key[1],
                "queries": count,
                "answers": answers[key],
                "pairs_before": before[key],
                "pairs": after[key],
            }
            for key, count in sorted(self.queries.items())
        ]

    def frequencies(self, *, balanced: bool) -> dict[str, list[int]]:
        """Returns how often each element is an answer, by type, most frequent first."""
        totals: dict[str, Counter[str]] = {}
        for (element_type, _, element_id), count in (self.kept if balanced else self.uses).items():
            totals.setdefault(element_type, Counter())[element_id] += count
        return {name: sorted(counts.values(), reverse=True) for name, counts in totals.items()}


def _sums(uses: Counter[Use]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for use, count in uses.items():
        found[use[:2]] += count
    return found


def to_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Returns rows, texts before numbers, as a Markdown table with a row of sums at its end."""
    if not rows:
        return ""
    head = list(rows[0])
    numbers = [key for key in head if isinstance(rows[0][key], int)]
    # An element that answers several kinds of queries would be counted for each.
    summed = [key for key in numbers if key != "answers" or "kind" not in head]
    total = {key: f"{sum(row[key] for row in rows):,}" if key in summed else "" for key in head}
    total[head[0]] = "all"
    cells = [[f"{row[key]:,}" if key in numbers else str(row[key]) for key in head] for row in rows]
    lines = grid([key.replace("_", " ") for key in head], len(head) - len(numbers))
    return "\n".join([*lines, *map(line, [*cells, list(total.values())])])


def by_type(reports: Sequence[DatasetReport]) -> list[dict[str, Any]]:
    """Returns one row for each element type over all datasets: queries, distinct answers, pairs before and after balancing."""
    found: dict[str, Counter[str]] = {}
    for row in (row for report in reports for row in report.rows()):
        counts = found.setdefault(row["element_type"], Counter())
        counts.update({key: row[key] for key in ("queries", "pairs_before", "pairs")})
    answers = Counter(name for name, _, _ in {(use[0], report.name, use[2]) for report in reports for use in report.uses})
    return [
        {
            "element_type": name,
            "queries": n["queries"],
            "answers": answers[name],
            "pairs_before": n["pairs_before"],
            "pairs": n["pairs"],
        }
        for name, n in sorted(found.items())
    ]
