"""How much does adapting to a company's own flows help on its other flows, and what does it cost elsewhere?

Usage: python benchmarks/adapting.py --encoder CHECKPOINT --output FOLDER [--domains NAME ...] [--shares 0.25 0.5 1] [--steps N]

Each bundled domain plays a company. A seeded half of its flows (and of its written queries, by their answers) is there to adapt
to, the other half to measure; the catalog is known. The encoder is adapted by the recipe to shares of the first half, each of
which holds the smaller ones, and measured on the second half, on general knowledge and on another domain's second half.

A cell (one domain, one share) is written when it is done, and one that is there is not made again: the same command goes on.
Written: adapting.json, adapting.md and adapting.png. The recipe was chosen on customer_service, and nothing on the others.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from multiretriever.core import Encoder, load_encoder
from multiretriever.core.example import Example
from multiretriever.core.yaml_io import dump_yaml
from multiretriever.datasets import Dataset, open_dataset
from multiretriever.evaluation import Selection, evaluate, retriever_systems
from multiretriever.evaluation.report_files import grid, line
from multiretriever.training.export.card import TRAINING_FILE
from multiretriever.training.export.checkpoint import read_checkpoint
from multiretriever.training.export.restore import find_base
from multiretriever.training.recipe import Recipe, read_recipe
from multiretriever.training.tuning import train

DATA = Path(__file__).resolve().parents[1] / "data"
DOMAINS = (
    "customer_service",
    "education",
    "facilities",
    "field_service",
    "finance",
    "healthcare",
    "hr",
    "legal",
    "procurement",
    "security_operations",
)
GENERAL = "general"
KINDS = ("step.requirement", "step.flow", "step.annotation")
TYPES = ("step", "table", "field", "catalog_item", "workflow")
MEAN = "mean of types"
OWN, OTHER = "own", "other domain"
MODES = ("lexical", "dense", "hybrid")

T = TypeVar("T")
Row = dict[str, Any]


@dataclass(frozen=True)
class Company:
    """A domain, split.

    Attributes:
        dataset: All of it.
        flows: Flows to adapt to, in random order.
        queries: Written queries to adapt to, in groups of equal answers, in random order.
        test: The other half: catalog and queries.
    """

    dataset: Dataset
    flows: list[Any]
    queries: list[list[Example]]
    test: Dataset

    @property
    def name(self) -> str:
        """Name of the domain."""
        return self.dataset.name


def halves(items: Iterable[T], seed: str, *, together: Callable[[T], Hashable] = id) -> tuple[list[list[T]], list[list[T]]]:
    """Returns two random halves of items, in groups of those that must stay together."""
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(together(item), []).append(item)
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    middle = math.ceil(len(order) / 2)
    return order[:middle], order[middle:]


def sample(examples: Iterable[Example], each: int, seed: str) -> list[Example]:
    """Returns at most so many queries of each kind, drawn at random."""
    kinds: dict[tuple[str, str], list[Example]] = {}
    for example in examples:
        kinds.setdefault((example.element_type, example.kind), []).append(example)
    return [item for found in kinds.values() for item in random.Random(seed).sample(found, min(each, len(found)))]


def open_company(name: str, *, seed: int, each: int) -> Company:
    """Opens a domain and splits it."""
    dataset = Dataset.from_path(DATA / name)
    text = f"{seed}/{name}"
    flows, test_flows = halves(dataset.flows(), text)
    queries, test_queries = halves(dataset.given(), text, together=lambda query: query.relevant)
    test = Dataset(dataset.catalog, name=name, flows=chain(*test_flows), queries=chain(*test_queries))
    chosen = Dataset(dataset.catalog, name=name, queries=sample(test.examples(), each, text))
    return Company(dataset, list(chain(*flows)), queries, chosen)


def part(items: Sequence[T], share: float) -> Sequence[T]:
    """Returns the first items; a larger share holds those of a smaller one."""
    return items[: max(1, round(len(items) * share))]


def write_folder(company: Company, share: float, folder: Path) -> int:
    """Writes a share of what is there to adapt to as a dataset folder, and returns the number of flows."""
    folder.mkdir(parents=True, exist_ok=True)
    flows = part(company.flows, share)
    queries = [query for group in part(company.queries, share) for query in group] if company.queries else []
    keys = ("id", "element_type", "query", "relevant", "context", "language", "kind")
    rows = [{key: getattr(query, key) for key in keys} for query in queries]
    for name, values in (("flows", [flow.to_dict() for flow in flows]), ("queries", rows)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    source, given = company.dataset.folder, company.dataset.settings
    assert source is not None
    settings: dict[str, Any] = {"name": company.name, "language": given.language}
    for key in ("catalog", "workflows"):
        settings[key] = [str((source / path).resolve()) for path in getattr(given, key)]
    settings |= {name: f"{name}.jsonl" for name in ("flows", "queries")}
    (folder / "dataset.yaml").write_text(dump_yaml(settings), encoding="utf-8")
    return len(flows)


def measure(dataset: Dataset, place: str, encoder: Encoder, modes: Sequence[str], *, count: int | None = None) -> list[Row]:
    """Returns recall by kind of query, by element type, and the mean of the types."""
    report = evaluate(dataset, retriever_systems(encoder, modes), selection=Selection(sample=count), by=[])
    rows: list[Row] = []
    for mode in modes:
        groups: dict[str, list[float]] = {}
        for query, value in zip(report.queries, report.values[mode]["recall"], strict=True):
            for name in dict.fromkeys((query.element_type, query.kind)):
                groups.setdefault(name, []).append(value)
        types = list(dict.fromkeys(query.element_type for query in report.queries))
        means = {name: fmean(values) for name, values in groups.items()}
        found = {**means, MEAN: fmean(means[name] for name in types)}
        rows += [
            {"place": place, "mode": mode, "what": name, "queries": len(groups.get(name, report.queries)), "recall": value}
            for name, value in found.items()
        ]
    return [{**row, "recall": round(row["recall"], 4)} for row in rows]


class Study:
    """All cells of one study, kept in a folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Opens the folder and what is measured on."""
        self.options = options
        self.folder: Path = options.output
        self.base = find_base(options.encoder, work=self.folder / "base")
        self.recipe: Recipe = read_recipe(options.recipe).with_values({"base": str(self.base.folder)})
        self.encoder = load_encoder(str(self.base.folder))
        self.general = open_dataset(DATA / GENERAL)
        self._companies: dict[str, Company] = {}
        self.facts = {
            "encoder": self.base.name,
            "weights_sha256": read_checkpoint(self.base.folder).weights_sha256(),
            "recipe": self.recipe.model_dump(mode="json", exclude={"base"}, exclude_defaults=True),
            **{name: getattr(options, name) for name in ("steps", "seed", "queries", "elsewhere")},
        }
        self._claim()

    def _claim(self) -> None:
        path = self.folder / "facts.json"
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(self.facts)):
            raise SystemExit(f"{path} is of another encoder, recipe or settings; choose another --output")
        write(path, json.dumps(self.facts, indent=1))

    def company(self, name: str) -> Company:
        """Returns a domain, split."""
        if name not in self._companies:
            self._companies[name] = open_company(name, seed=self.options.seed, each=self.options.queries)
        return self._companies[name]

    def cell(self, name: str, share: float) -> Row:
        """Returns a cell; it is made where it is not there."""
        path = self.folder / "cells" / f"{name}-{share:g}.json"
        if not path.is_file():
            made = self._general() if name == GENERAL else self._adapted(name, share) if share else self._untuned(name)
            write(path, json.dumps({"domain": name, "share": share, **made}, indent=1))
        found: Row = json.loads(path.read_text(encoding="utf-8"))
        return found

    def _general(self) -> Row:
        return {"flows": 0, "rows": measure(self.general, GENERAL, self.encoder, ["dense"], count=self.options.queries * 3)}

    def _untuned(self, name: str) -> Row:
        rows = measure(self.company(name).test, OWN, self.encoder, MODES)
        return {"flows": 0, "rows": [*rows, *self._other(name, self.encoder)]}

    def _other(self, name: str, encoder: Encoder) -> list[Row]:
        known = DOMAINS[(DOMAINS.index(name) + 1) % len(DOMAINS)]
        return measure(self._few(self.company(known).test), OTHER, encoder, ["dense"])

    def _few(self, test: Dataset) -> Dataset:
        few = sample(test.given(), self.options.elsewhere, test.name)
        return Dataset(test.catalog, name=test.name, queries=few)

    def _adapted(self, name: str, share: float) -> Row:
        company, work = self.company(name), self.folder / "work" / f"{name}-{share:g}"
        flows = write_folder(company, share, work / "data")
        changes: dict[str, Any] = {"data.datasets": [str(work / "data")]}
        if self.options.steps is not None:
            # Without a limit of time: on a busy machine it would cut some cells short and not others.
            changes |= {"training.steps": max(1, round(self.options.steps * share)), "training.minutes": None}
        target = work / "encoder"
        if not target.is_dir():
            train(self.recipe.with_values(changes), target)
        tuned = json.loads((target / TRAINING_FILE).read_text(encoding="utf-8"))
        encoder = load_encoder(str(target))
        rows = measure(company.test, OWN, encoder, MODES[1:])
        if share == max(self.options.shares):
            rows += measure(self.general, GENERAL, encoder, ["dense"], count=self.options.queries * 3)
            rows += self._other(name, encoder)
        if not self.options.keep:
            shutil.rmtree(work)
        return {"flows": flows, **{name: tuned[name] for name in ("pairs", "steps", "seconds")}, "rows": rows}


def write(path: Path, text: str) -> None:
    """Writes a file as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text + "\n", encoding="utf-8")
    os.replace(part, path)


def curve(cells: Sequence[Row]) -> list[Row]:
    """Returns for each place, mode and what is measured the mean over domains at each share, and in how many domains it rose."""
    found: dict[tuple[str, str, str], dict[float, dict[str, float]]] = {}
    for cell in cells:
        for row in cell["rows"]:
            key = (row["place"], row["mode"], row["what"])
            found.setdefault(key, {}).setdefault(cell["share"], {})[cell["domain"]] = row["recall"]
    rows = []
    for (place, mode, what), shares in found.items():
        before, after = shares.get(0.0, {}), shares[max(shares)]
        gains = [after[name] - before[name] for name in after if name in before]
        facts = {"place": place, "mode": mode, "what": what, "domains": len(after)}
        means = {f"{share:g}": round(fmean(values.values()), 4) for share, values in sorted(shares.items())}
        signs = {"better": sum(gain > 0 for gain in gains), "worse": sum(gain < 0 for gain in gains)}
        rows.append({**facts, "recall": means, **signs})
    return rows


def markdown(rows: Sequence[Row], flows: Mapping[float, float]) -> str:
    """Returns the curve as Markdown: one table for the company's other flows, one for the rest."""
    shares = sorted(flows)
    head = ["recall of", "mode", *(f"{flows[share]:.0f} flows" for share in shares), "better", "worse"]
    own = [row for what in (*KINDS, *TYPES, MEAN) for row in rows if row["place"] == OWN and row["what"] == what]
    lines = grid(head, 2)
    for row in own:
        values = [f"{row['recall'][f'{share:g}']:.3f}" if f"{share:g}" in row["recall"] else "" for share in shares]
        lines.append(line([row["what"], row["mode"], *values, str(row["better"]), str(row["worse"])]))
    lines += ["", *grid(["elsewhere, dense", "before", "after", "better", "worse"], 1)]
    for row in rows:
        if row["place"] != OWN and row["what"] == MEAN:
            first, last = row["recall"]["0"], row["recall"][max(row["recall"], key=float)]
            lines.append(line([row["place"], f"{first:.3f}", f"{last:.3f}", str(row["better"]), str(row["worse"])]))
    return "\n".join(lines)


def plot(rows: Sequence[Row], flows: Mapping[float, float], path: Path) -> None:
    """Draws the learning curve as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, what in enumerate((*KINDS, MEAN)):
        for mode, style in (("dense", "-"), ("hybrid", "--")):
            found = next((row["recall"] for row in rows if (row["place"], row["mode"], row["what"]) == (OWN, mode, what)), {})
            points = sorted((flows[float(share)], value) for share, value in found.items())
            axes.plot(*zip(*points, strict=True), style, color=f"C{place}", marker="o", markersize=3, label=f"{what}, {mode}")
    axes.set_xlabel("flows adapted to")
    axes.set_ylabel("recall on the company's other flows, mean of domains")
    axes.set_ylim(0, 1)
    axes.grid(visible=True, alpha=0.3)
    figure.legend(loc="outside right center", frameon=False, fontsize="small")
    figure.savefig(path, dpi=150)


def report(study: Study, cells: Sequence[Row]) -> None:
    """Writes what was found so far."""
    # General knowledge before adapting is the same for all domains.
    general = study.cell(GENERAL, 0.0)["rows"]
    cells = [{**cell, "rows": [*cell["rows"], *general]} if not cell["share"] else cell for cell in cells]
    shares = sorted({cell["share"] for cell in cells})
    flows = {share: fmean(cell["flows"] for cell in cells if cell["share"] == share) for share in shares}
    rows = curve(cells)
    facts = {**study.facts, "flows": {f"{share:g}": count for share, count in flows.items()}}
    write(study.folder / "adapting.json", json.dumps({**facts, "curve": rows, "cells": cells}, indent=1))
    write(study.folder / "adapting.md", markdown(rows, flows))
    plot(rows, flows, study.folder / "adapting.png")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", required=True, help="checkpoint to adapt, as the base of a recipe")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--recipe", default="adapt")
    parser.add_argument("--domains", nargs="+", choices=DOMAINS, default=DOMAINS)
    parser.add_argument("--shares", nargs="+", type=float, default=[0.25, 0.5, 1.0], help="of the flows to adapt to")
    parser.add_argument("--steps", type=int, help="optimizer steps for all flows, fewer for shares; without it, the recipe's")
    parser.add_argument("--queries", type=int, default=50, help="of each kind of each domain at most")
    parser.add_argument("--elsewhere", type=int, default=12, help="of each kind of the other domain at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help="keep the adapted encoders")
    options = parser.parse_args()
    study = Study(options)
    cells: list[Row] = []
    for name in options.domains:
        cells += [study.cell(name, share) for share in (0.0, *sorted(options.shares))]
        report(study, cells)
    print((study.folder / "adapting.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
