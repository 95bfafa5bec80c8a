"""What each part of the recipes is worth: short runs on the same data, alike but for one thing.

Usage: python benchmarks/recipes.py [GROUP ...] [--data DATASET ...] [--steps N] --output FOLDER

Groups:
    tasks         one encoder for all types, with and without thinning of frequent elements, against an encoder for each type
                  (Table 3 of arXiv 2501.04652)
    losses        the multi-task paper's contrastive loss, in-batch negatives, in-batch with a hard negative, the whole catalog
    temperatures  of the catalog loss
    instructions  queries with and without instructions
    dimensions    vectors cut to their first part, trained for it (Matryoshka) and not
    adapters      all weights against low-rank adapters
    forgetting    elements held by an anchor, rehearsal of bare queries, fused weights
    refine        negatives of REFINE against others, on queries made of templates for the IT catalog (no flow is used)
    distill       listwise distillation against plain InfoNCE on the same queries, and its temperatures

Every run has as many rows as the others of its group, a distillation about as many texts; an encoder for one type has as many
rows as the multi-task run has of that type. Recall is dense, on organisations that nothing was trained on (--test), on the dev
split of the domain that was trained on, and on general questions. The common run is the recipe of the shipped encoder without its
means against forgetting. A run that is done is kept in FOLDER/runs and not made again. Written: recipes.json, recipes.md and a
plot for each group.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from multiretriever.core import InstructionSet, load_encoder
from multiretriever.datasets import open_dataset
from multiretriever.evaluation import Selection, evaluate, retriever_systems
from multiretriever.evaluation.report_files import grid, line
from multiretriever.training.distill import train_teacher
from multiretriever.training.export.card import TRAINING_FILE
from multiretriever.training.export.restore import find_base
from multiretriever.training.queries import TemplateQueryWriter, WriterSettings, documents_of, save_queries
from multiretriever.training.recipe import Recipe, TeacherSettings, read_recipe
from multiretriever.training.tuning import train
from multiretriever.training.tuning.train import training_pairs

DATA = Path(__file__).resolve().parents[1] / "data"
TYPES = ("step", "table", "field", "catalog_item", "workflow")
REQUIREMENT = "step.requirement"
KINDS = (REQUIREMENT, "step.annotation", "step.flow")
IN_DOMAIN = f"{DATA / 'it_service'}@dev"
GENERAL = "general"
Found = dict[str, float]


@dataclass(frozen=True)
class Run:
    """One encoder.

    Attributes:
        name: Its name in the tables.
        changes: What differs from the common recipe.
        recipe: Recipe that it starts from; blank for the common one.
        only: The type that it is trained on and measured on; blank for all.
        dimension: Numbers of a vector that are kept; None for all.
        of: Name of the run whose encoder it cuts; blank for one of its own.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = ""
    only: str = ""
    dimension: int | None = None
    of: str = ""


WRITTEN, DISTILLED = "refine", "distill"
COMMON = Run("multi-task")
IN_BATCH = Run("in-batch", {"loss": {"name": "in-batch", "negatives": 0}})
KEPT = {"loss.anchor": 3.0, "data.rehearsal": 4000}
GROUPS: dict[str, tuple[Run, ...]] = {
    "tasks": (
        COMMON,
        Run("multi-task, frequent elements not thinned", {"data.pairs.balance": False}),
        *(Run(f"{name} alone", {"data.element_types": (name,)}, only=name) for name in TYPES),
    ),
    "losses": (
        Run("contrastive", {"loss": {"name": "contrastive", "negatives": 1}}),
        IN_BATCH,
        COMMON,
        Run("in-batch, one hard negative", {"loss": {"name": "in-batch", "negatives": 1}, "data.pairs.hard_negatives": 1}),
    ),
    "temperatures": (
        Run("temperature 0.02", {"loss.temperature": 0.02}),
        COMMON,
        Run("temperature 0.1", {"loss.temperature": 0.1}),
    ),
    "instructions": (COMMON, Run("without instructions", {"data.instructions": False})),
    "dimensions": (
        COMMON,
        *(Run(f"multi-task, first {size}", dimension=size, of="multi-task") for size in (192, 96)),
        Run("Matryoshka", {"matryoshka": (384, 192, 96)}),
        *(Run(f"Matryoshka, first {size}", dimension=size, of="Matryoshka") for size in (192, 96)),
    ),
    "refine": (
        Run("InfoNCE, other texts of the batch", {"data.pairs.mined_negatives": 0, "loss.negatives": 0}, WRITTEN),
        Run("InfoNCE, a random negative", {"data.pairs.mined_negatives": 0, "data.pairs.random_negatives": 1}, WRITTEN),
        Run("InfoNCE, the nearest as negative", {"data.pairs.band": {"low": -1, "high": 1, "skip": 0}}, WRITTEN),
        Run("InfoNCE, REFINE's negative", {}, WRITTEN),
        Run("REFINE, weights fused at 0.35", {"tuned_share": 0.35}, WRITTEN),
    ),
    "distill": (
        IN_BATCH,
        Run("distillation", {}, DISTILLED),
        Run("teacher at 0.1", {"distill.settings.teacher_temperature": 0.1}, DISTILLED),
        Run("student at 0.1", {"distill.settings.student_temperature": 0.1}, DISTILLED),
    ),
    "forgetting": (
        COMMON,
        Run("anchor", {"loss.anchor": KEPT["loss.anchor"]}),
        Run("anchor, rehearsal", KEPT),
        Run("anchor, rehearsal, 0.8 of the tuned weights", {**KEPT, "tuned_share": 0.8}),
    ),
    "adapters": (COMMON, Run("adapters of rank 16", {"lora.rank": 16, "training.learning_rate": 5e-4})),
}


class Study:
    """All runs of one study, kept in a folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Reads the recipe and what is measured on."""
        self.folder: Path = options.output
        self.sample: int = options.sample
        self.recipe: Recipe = read_recipe("shipped").with_values(
            {
                "data.datasets": (str(DATA / "it_service"), *options.data),
                "training.steps": options.steps,
                "training.max_tokens": 96,
                "training.warmup_steps": 0.1,
                "training.save_steps": 1000,
                "loss.refresh_steps": 100,
                "loss.anchor": 0.0,
                "data.rehearsal": 0,
                "tuned_share": 1.0,
            }
        )
        self.options = options
        others = [open_dataset(DATA / name) for name in options.test]
        self.tests = {"in domain": [open_dataset(IN_DOMAIN)], "out of domain": others, GENERAL: [open_dataset(DATA / GENERAL)]}

    @cached_property
    def shares(self) -> dict[str, float]:
        """The share of each type among the pairs of the multi-task run."""
        datasets = [open_dataset(spec) for spec in self.recipe.data.datasets]
        pairs, _ = training_pairs(datasets, self.recipe.data, instructions=InstructionSet.default())
        return {name: sum(pair.element_type == name for pair in pairs) / len(pairs) for name in TYPES}

    def start(self, run: Run) -> Recipe:
        """Returns the recipe that a run starts from; queries are written and a teacher is trained where it needs them."""
        if not run.recipe:
            return self.recipe
        if run.recipe == DISTILLED:
            return self._distilling()
        values: dict[str, Any] = {"data.datasets": (str(self._written()),), "training.steps": self.options.written_steps}
        values |= {"training.max_tokens": 96, "training.epochs": 1, "training.learning_rate": 1e-4, "tuned_share": 1.0}
        return read_recipe(run.recipe).with_values(values)

    def _distilling(self) -> Recipe:
        # Lists of 12 in batches of 8 are 104 texts, where 32 pairs are 64: 0.6 of the steps cost about as much.
        steps = max(1, round(self.options.steps * 0.6))
        values: dict[str, Any] = {"data.datasets": self.recipe.data.datasets, "training.steps": steps}
        values |= {"training.max_tokens": 96, "training.batch_size": 8}
        # Twice as many lists as the steps need, for the filters drop some.
        lists = {"list_length": 12, "max_lists": 2 * 8 * steps, "max_tokens": 96}
        values |= {f"distill.settings.{key}": value for key, value in lists.items()}
        values |= {"distill.teacher": str(self._teacher()), "distill.lists": str(self.folder / "lists")}
        return read_recipe(DISTILLED).with_values(values)

    def _written(self) -> Path:
        folder = self.folder / "written"
        if not folder.is_dir():
            dataset = open_dataset(f"{DATA / 'it_service'}@train")
            writer = TemplateQueryWriter(WriterSettings.of(per_element=1))
            save_queries(folder, dataset, writer.write(documents_of(dataset)), writer=writer.name)
        return folder

    def _teacher(self) -> Path:
        folder = self.folder / "teacher"
        if not folder.is_dir():
            data = self.recipe.with_values({"data.pairs.random_negatives": 1, "data.pairs.hard_negatives": 2}).data
            datasets = [open_dataset(spec) for spec in data.datasets]
            pairs, _ = training_pairs(datasets, data, instructions=InstructionSet.default())
            settings = TeacherSettings.of(steps=self.options.teacher_steps, negatives=3, max_tokens=96)
            train_teacher(pairs, folder, settings, progress=True)
        return folder

    def result(self, run: Run) -> dict[str, Any]:
        """Returns what a run gave; it is made where it is not there."""
        path = self.folder / "runs" / f"{_file(run.name)}.json"
        if not path.is_file():
            found = self._made(run)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return value

    def _made(self, run: Run) -> dict[str, Any]:
        target = self.folder / "encoders" / _file(run.name)
        facts: dict[str, Any] = {"name": run.name}
        if run.of:
            self.result(next(item for item in chain(*GROUPS.values()) if item.name == run.of))
            target = self.folder / "encoders" / _file(run.of)
        elif run != Run("untuned"):
            steps = self.options.steps
            changes = {**run.changes, **({"training.steps": max(1, round(steps * self.shares[run.only]))} if run.only else {})}
            if not target.is_dir():
                train(self.start(run).with_values(changes), target)
            tuned = json.loads((target / TRAINING_FILE).read_text(encoding="utf-8"))
            facts |= {key: tuned[key] for key in ("pairs", "steps", "seconds", "loss")}
        else:
            target = Path(str(self.recipe.base))
        # An encoder for one type is not asked for others.
        places = [place for place in self.tests if not run.only or self._asks(place, run.only)]
        return {**facts, **{place: self._measured(target, run, place) for place in places}}

    def _asks(self, place: str, element_type: str) -> bool:
        return any(query.element_type == element_type for dataset in self.tests[place] for query in dataset.examples())

    def _measured(self, folder: Path, run: Run, place: str) -> Found:
        spec = str(folder if folder.is_dir() else find_base(str(folder)).folder)
        systems = retriever_systems({"e": load_encoder(f"{spec}#{run.dimension}" if run.dimension else spec)}, ["dense"])
        types = (run.only,) if run.only else None
        report = evaluate(
            self.tests[place], systems, selection=Selection(element_types=types, sample=self.sample), by=["element_type", "kind"]
        )
        tables = [table for table in report.tables if table.measure == "recall"]
        # The first table last: its mean is that over types.
        return {row.label: round(row.cells[table.systems[0]].value, 4) for table in reversed(tables) for row in table.all_rows}


def _file(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def _table(runs: Sequence[tuple[Run, dict[str, Any]]]) -> str:
    """Returns the runs of a group: recall on the other organisations, then on the domain that was trained on, then the rest."""
    head = ["", *TYPES, "mean", REQUIREMENT, "in domain: mean", f"in domain: {REQUIREMENT}", GENERAL, "steps", "minutes"]
    rows = [(run.name, [found["out of domain"], found.get("in domain", {})], found, bool(run.only)) for run, found in runs]
    alone = [(run, found) for run, found in runs if run.only]
    if len(alone) == len(TYPES):
        rows.append(("five encoders, one a type", *_together(alone), False))
    lines = grid(head, 1)
    for name, (others, own), found, part in rows:
        # Five types are measured in the other organisations, four in the domain's dev split.
        cells = [*(_cell(others, key) for key in TYPES), "" if part else _cell(others, "mean"), _cell(others, REQUIREMENT)]
        cells += ["" if part else _cell(own, "mean"), _cell(own, REQUIREMENT), _cell(found.get(GENERAL, {}), "passage")]
        cells += [str(found["steps"]), f"{found['seconds'] / 60:.0f}"] if "steps" in found else ["", ""]
        lines.append(line([name, *cells]))
    return "\n".join(lines)


def _cell(values: Found, key: str) -> str:
    return f"{values[key]:.3f}" if key in values else ""


def _together(alone: Sequence[tuple[Run, dict[str, Any]]]) -> tuple[list[Found], dict[str, Any]]:
    """Returns what encoders for one type each find together, and what they cost."""
    places: list[Found] = []
    for place in ("out of domain", "in domain"):
        found = {key: value for run, result in alone for key, value in result.get(place, {}).items() if key in (run.only, *KINDS)}
        types = [found[name] for name in TYPES if name in found]
        places.append({**found, "mean": sum(types) / len(types)})
    return places, {key: sum(result[key] for _, result in alone) for key in ("steps", "seconds")}


def plot(group: str, runs: Sequence[tuple[Run, dict[str, Any]]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    whole = [(run, found) for run, found in runs if not run.only]
    figure = Figure(figsize=(8, 0.6 + 0.5 * len(whole)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for offset, place in ((-0.2, "out of domain"), (0.2, "in domain")):
        axes.barh([row + offset for row in range(len(whole))], [found[place]["mean"] for _, found in whole], 0.35, label=place)
    axes.set_yticks(range(len(whole)), [run.name for run, _ in whole])
    axes.invert_yaxis()
    axes.set_xlabel("recall, dense, mean of element types")
    axes.set_title(group)
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=150)


def selected(names: Sequence[str]) -> Iterator[tuple[str, tuple[Run, ...]]]:
    for name in names:
        yield name, (Run("untuned"), *GROUPS[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], help="all where none is named")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", nargs="*", default=[], help="datasets beside the bundled IT domain")
    parser.add_argument("--test", nargs="*", default=["finance", "hr", "legal"], help="domains of data/ to measure on")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--written-steps", type=int, default=150, help="steps on written queries")
    parser.add_argument("--teacher-steps", type=int, default=400, help="steps of the teacher")
    parser.add_argument("--sample", type=int, default=200, help="queries of each type of each dataset")
    options = parser.parse_args()
    study = Study(options)
    parts, results = [], {}
    for name, runs in selected(options.groups or list(GROUPS)):
        found = [(run, study.result(run)) for run in runs]
        results[name] = [result for _, result in found]
        parts.append(f"## {name}\n\n{_table(found)}")
        plot(name, found, study.folder / f"{name}.png")
    recipe = study.recipe.model_dump(mode="json", exclude={"base"}, exclude_defaults=True)
    recipe["data"]["datasets"] = [Path(name).name for name in study.recipe.data.datasets]  # not where they lie here
    content = {"recipe": recipe, "test": options.test, "sample": options.sample, "groups": results}
    (study.folder / "recipes.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (study.folder / "recipes.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print("\n\n".join(parts))
    if not options.groups:
        shutil.rmtree(study.folder / "encoders")


if __name__ == "__main__":
    main()
