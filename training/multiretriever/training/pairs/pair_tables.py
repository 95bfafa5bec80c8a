"""What was made: counts by kind of query, and how often each element is an answer before and after balancing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multiretriever.core.errors import MissingDependencyError
from multiretriever.evaluation.report_files import grid, line
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


def plot_balance(reports: Sequence[DatasetReport], path: str | Path) -> None:
    """Draws a panel for each element type: elements by how often they are an answer, before and after, both axes logarithmic.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("plots need matplotlib: pip install 'multiretriever[train]'") from error
    types = sorted({name for report in reports for name in report.frequencies(balanced=False)})
    figure = Figure(figsize=(3.6 * max(1, len(types)), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, max(1, len(types)), squeeze=False)[0]
    for panel, name in zip(panels, types, strict=False):
        for balanced, label, style in ((False, "as the flows use them", "-"), (True, "after balancing", "--")):
            counts = _joined(reports, name, balanced=balanced)
            panel.plot(range(1, len(counts) + 1), counts, style, label=f"{label} ({sum(counts):,} pairs)", linewidth=1.6)
        panel.set(title=name, xscale="log", yscale="log", xlabel="element, most frequent first")
        panel.grid(True, which="major", alpha=0.3)
        panel.legend(fontsize=7)
    if types:
        panels[0].set_ylabel("pairs with it as the answer")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _joined(reports: Sequence[DatasetReport], name: str, *, balanced: bool) -> list[int]:
    counts = (count for report in reports for count in report.frequencies(balanced=balanced).get(name, ()))
    return sorted(counts, reverse=True)
