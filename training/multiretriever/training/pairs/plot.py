"""A plot of how often each element is an answer, before and after balancing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multiretriever.core.errors import MissingDependencyError
from multiretriever.training.pairs.report import DatasetReport


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
