"""Plots of tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from multiretriever.core.errors import ParameterError
from multiretriever.core.evaluation.extras import extra
from multiretriever.core.evaluation.tables import Row, Table

_INCHES_PER_BAR = 0.16
_LEAST_HEIGHT = 2.5
# Past it a plot is no longer read, and some programs do not open it.
_MOST_HEIGHT = 60.0
_WIDTH = 9.0
_DPI = 150


def plot_table(table: Table, path: str | Path) -> None:
    """Writes a table as grouped bars with their 95% intervals, as PNG.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ParameterError: The file cannot be written.
    """
    # Neither pyplot nor a display: nothing is left behind in the process.
    figures, backend = extra("matplotlib.figure"), extra("matplotlib.backends.backend_agg")
    rows = table.all_rows
    systems = list(rows[0].cells)
    height = min(_MOST_HEIGHT, max(_LEAST_HEIGHT, 1.2 + _INCHES_PER_BAR * len(rows) * (len(systems) + 1)))
    figure = figures.Figure(figsize=(_WIDTH, height), layout="constrained")
    backend.FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, system in enumerate(systems):
        _bars(axes, rows, system, place, len(systems))
    axes.set_yticks(range(len(rows)), [_plain(f"{row.label} ({row.queries})") for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"{table.title}, with 95% intervals")
    axes.xaxis.grid(visible=True, alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=min(len(systems), 4), frameon=False)
    try:
        figure.savefig(path, dpi=_DPI, format="png")
    except OSError as error:
        raise ParameterError(f"the plot {path} cannot be written: {error.strerror or error}") from error


def _bars(axes: Any, rows: tuple[Row, ...], system: str, place: int, count: int) -> None:
    width = 0.8 / count
    cells = [row.cells[system] for row in rows]
    below = [0.0 if cell.low is None else max(0.0, cell.value - cell.low) for cell in cells]
    above = [0.0 if cell.high is None else max(0.0, cell.high - cell.value) for cell in cells]
    axes.barh(
        [number + (place - (count - 1) / 2) * width for number in range(len(rows))],
        [cell.value for cell in cells],
        height=width,
        xerr=[below, above],
        error_kw={"elinewidth": 0.8, "capsize": 1.5},
        label=_plain(system),
    )


def _plain(text: str) -> str:
    # A dollar starts a formula, and a label with a low line at its start is left out of the legend.
    return text.replace("$", r"\$").lstrip("_")
