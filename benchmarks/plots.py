"""Draws the committed results as SVG, for the documentation.

Usage: python benchmarks/plots.py [--results FOLDER] [--output FOLDER]

Reads recipes.json, adapting.json, fusion.json (a sweep of ``multiretriever fuse``) and training.json (of the shipped encoder, as
``multiretriever train`` writes it). The same results give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import adapting
import recipes

from multiretriever.training.fusion import FusionSweep, plot_sweep

ROOT = Path(__file__).resolve().parents[1]
WINDOW = 5


def plot_training(facts: dict[str, Any], path: Path) -> None:
    """Draws the loss of a training run, and its mean over some logged steps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps, losses = zip(*facts["loss"], strict=True)
    smooth = [sum(losses[max(0, i - WINDOW + 1) : i + 1]) / min(i + 1, WINDOW) for i in range(len(losses))]
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(steps, losses, alpha=0.35, label="loss")
    axes.plot(steps, smooth, label=f"mean of {WINDOW} logged values")
    axes.set(xlabel="step", ylabel="loss")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(path)


def main() -> None:
    import matplotlib

    matplotlib.rcParams["svg.hashsalt"] = "multiretriever"
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "plots")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    def read(name: str) -> Any:
        return json.loads((options.results / name).read_text(encoding="utf-8"))

    plot_training(read("training.json"), options.output / "training.svg")
    plot_sweep(FusionSweep.load(options.results / "fusion.json"), options.output / "fusion.svg")
    curves = read("adapting.json")
    adapting.plot(
        curves["curve"], {float(share): count for share, count in curves["flows"].items()}, options.output / "adapting.svg"
    )
    groups = read("recipes.json")["groups"]
    for group, runs in recipes.selected(list(groups)):
        found = dict(zip((run.name for run in runs), groups[group], strict=True))
        recipes.plot(group, [(run, found[run.name]) for run in runs], options.output / f"{group}.svg")


if __name__ == "__main__":
    main()
