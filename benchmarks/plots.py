"""Draws the committed results as SVG, for the documentation.

Usage: python benchmarks/plots.py [--results FOLDER] [--output FOLDER]

Reads recipes.json, adapting.json, fusion_weights.json and fusion_representations.json (of fusion_sweep.py), and
training.json (what ``multiretriever train`` wrote for each recipe of the shipped encoder), those of them that are there. The same
results give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import adapting
import recipes
from fusion_sweep import plot_sweep

ROOT = Path(__file__).resolve().parents[1]
WINDOW = 5


def plot_training(runs: dict[str, dict[str, Any]], path: Path) -> None:
    """Draws the loss of training runs, and its mean over some logged steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (name, facts) in enumerate(runs.items()):
        steps, losses = zip(*facts["loss"], strict=True)
        smooth = [sum(losses[max(0, i - WINDOW + 1) : i + 1]) / min(i + 1, WINDOW) for i in range(len(losses))]
        axes.plot(steps, losses, color=f"C{number}", alpha=0.3)
        axes.plot(steps, smooth, color=f"C{number}", label=f"{name}, mean of {WINDOW} logged values")
    axes.set(xlabel="step", ylabel="loss")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(path)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _training(path: Path, output: Path) -> None:
    plot_training(_read(path), output / "training.svg")


def _fusion(path: Path, output: Path) -> None:
    plot_sweep(_read(path), output / f"{path.stem}.svg")


def _adapting(path: Path, output: Path) -> None:
    found = _read(path)
    adapting.plot(found["curve"], {float(share): count for share, count in found["flows"].items()}, output / "adapting.svg")


def _recipes(path: Path, output: Path) -> None:
    groups = _read(path)["groups"]
    for group, runs in recipes.selected(list(groups)):
        recipes.plot(group, list(zip(runs, groups[group], strict=True)), output / f"{group}.svg")


def main() -> None:
    import matplotlib

    matplotlib.rcParams["svg.hashsalt"] = "multiretriever"
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "plots")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    sweeps = (("fusion_weights", _fusion), ("fusion_representations", _fusion))
    for name, draw in (("training", _training), *sweeps, ("adapting", _adapting), ("recipes", _recipes)):
        path = options.results / f"{name}.json"
        if path.is_file():
            draw(path, options.output)


if __name__ == "__main__":
    main()
