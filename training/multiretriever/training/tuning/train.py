"""Trains an encoder by a recipe: from datasets to a checkpoint that carries its instructions."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multiretriever.core import Encoder, Flow, InstructionSet, load_encoder
from multiretriever.core.encoders.sentence_transformer import INSTRUCTIONS_FILE
from multiretriever.core.errors import ParameterError, TrainingError
from multiretriever.datasets import Dataset, open_dataset
from multiretriever.evaluation.report_files import grid, line
from multiretriever.training.export.card import TRAINING_FILE
from multiretriever.training.export.checkpoint import Base
from multiretriever.training.export.restore import find_base
from multiretriever.training.fusion import fuse_weights
from multiretriever.training.pairs import Pair, PairBuilder
from multiretriever.training.pairs.pair_tables import DatasetReport, by_type
from multiretriever.training.recipe import DataSection, Recipe
from multiretriever.training.tuning.advice import advice
from multiretriever.training.tuning.trainer import ADAPTER, add_adapter, merge_adapter

ALL_KINDS = "*"
MOST_REPEATS = 4


def training_pairs(
    datasets: Sequence[Dataset],
    section: DataSection,
    *,
    instructions: InstructionSet | None,
    encoder: Encoder | None = None,
    on_flow: Callable[[Flow], None] = lambda flow: None,
) -> tuple[list[Pair], list[DatasetReport]]:
    """Makes the pairs of some datasets, in random order, and the reports on them.

    Raises:
        TrainingError: There is not one pair.
        DatasetError, FlowError: A query or a flow is not valid.
        ParameterError: Negatives are to be mined without an encoder.
    """
    if not datasets:
        raise ParameterError("no dataset to train on; name folders with flows or queries under data.datasets, or by --data")
    builders = [
        PairBuilder(dataset, section.pairs, instructions=instructions, encoder=encoder, on_flow=on_flow) for dataset in datasets
    ]
    pairs = [pair for builder in builders for pair in builder.build()]
    if section.element_types:
        pairs = [pair for pair in pairs if pair.element_type in section.element_types]
    random.Random(section.pairs.seed).shuffle(pairs)
    if section.answers_per_query is not None:
        pairs = _first(pairs, lambda pair: (pair.dataset, pair.query_id), lambda pair: section.answers_per_query or 0)
    limits = section.per_kind
    pairs = _first(
        pairs,
        lambda pair: (pair.dataset, pair.element_type, pair.kind),
        lambda pair: limits.get(pair.kind, limits.get(ALL_KINDS, len(pairs))),
    )
    pairs = _repeated(pairs, section.least_per_type)
    if not pairs:
        names = ", ".join(dataset.name for dataset in datasets)
        raise TrainingError(f"no training pairs in {names}: they have neither flows nor queries of the kinds that are asked for")
    return pairs, [builder.report for builder in builders]


def _first(pairs: Sequence[Pair], key: Callable[[Pair], Hashable], limit: Callable[[Pair], int]) -> list[Pair]:
    """Returns the first pairs of each key, as many as its limit says."""
    taken: Counter[Hashable] = Counter()
    kept = []
    for pair in pairs:
        taken[key(pair)] += 1
        if taken[key(pair)] <= limit(pair):
            kept.append(pair)
    return kept


def _repeated(pairs: Sequence[Pair], least: int) -> list[Pair]:
    by_type: defaultdict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_type[(pair.dataset, pair.element_type)].append(pair)
    times = {key: min(MOST_REPEATS, -(-least // len(found))) for key, found in by_type.items()}
    return [pair for key, found in by_type.items() for pair in found * max(1, times[key])]


_CARD = """# {name}

An encoder for retrieval, tuned from {base} by multiretriever. {instructions}

{note}
## Data

{data}

Pairs of a query and an element that answers it; how they are made is said in the documentation of `multiretriever pairs`.

## Recipe

{steps:,} optimizer steps in {minutes:.0f} minutes, by `multiretriever train recipe.yaml` with this file:

```yaml
{recipe}```

{dev}
## Limits

It was tuned to find elements of catalogs like those above, in their languages. How well it finds those of another catalog is
measured by `multiretriever evaluate`, with queries whose answers are known.
"""
_INSTRUCTED = "Queries are read with the instructions of `instructions.yaml` before them; `multiretriever` puts them there."
_BARE = "Queries are read as they are, without instructions."


def write_training_card(folder: Path, recipe: Recipe, tuned: Tuned) -> None:
    """Writes ``README.md`` into the folder of a checkpoint."""
    rows = [
        [report.name, tuned.licences.get(report.name, ""), row["element_type"], f"{row['queries']:,}", f"{row['pairs']:,}"]
        for report in tuned.reports
        for row in by_type([report])
    ]
    text = _CARD.format(
        name=tuned.folder.name,
        base=tuned.base,
        instructions=_INSTRUCTED if recipe.data.instructions else _BARE,
        note=f"{recipe.note.strip()}\n" if recipe.note else "",
        data=_table(["dataset", "licence", "element type", "queries", "pairs made"], rows, texts=3),
        steps=tuned.steps,
        minutes=tuned.seconds / 60,
        recipe=recipe.to_yaml(),
        dev=_dev(recipe, tuned),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _dev(recipe: Recipe, tuned: Tuned) -> str:
    if not tuned.dev:
        return ""
    step, figures = tuned.dev[-1]
    rows = [[name, f"{value:.3f}"] for name, value in figures.items()]
    table = _table(["dev set / element type", "recall"], rows, texts=1)
    mixed = "Measured before the weights were mixed with the base's.\n\n" if recipe.tuned_share < 1 else ""
    return f"## Dev recall, dense, at step {step}\n\n{mixed}{table}\n"


def _table(head: list[str], rows: list[list[str]], *, texts: int) -> str:
    return "\n".join([*grid(head, texts), *map(line, rows)])


RECIPE_FILE = "recipe.yaml"
RECALL = "recall"


@dataclass(frozen=True)
class Tuned:
    """What a run made.

    Attributes:
        folder: The checkpoint, in the layout of sentence-transformers, with ``instructions.yaml``.
        base: What it was tuned from.
        pairs: Training pairs.
        steps: Optimizer steps.
        seconds: Wall time of training, of this process.
        dev: Dev recall at each evaluation: step, and figures by ``dataset/type`` and ``recall`` (their mean).
        losses: Training loss: step and value.
        reports: What was made of each dataset.
        licences: Licence of each dataset that names one, by its name.
    """

    folder: Path
    base: str
    pairs: int
    steps: int
    seconds: float
    dev: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)
    reports: Sequence[DatasetReport] = ()
    licences: Mapping[str, str] = field(default_factory=dict)


def train(
    recipe: Recipe,
    output: str | Path,
    *,
    on_flow: Callable[[Flow], None] = lambda flow: None,
    on_advice: Callable[[str], None] = lambda text: None,
) -> Tuned:
    """Trains an encoder. A run that was killed goes on from its newest checkpoint when it is started again.

    Args:
        recipe: The recipe.
        output: Folder of the result, new or empty; ``.NAME.run`` beside it keeps the checkpoints until the run is done.
        on_flow: Called with each flow that is read, say for progress.
        on_advice: Called with each thing that stands against a good result, before training begins; see ``advice``.

    Raises:
        TrainingError: The folder holds the run of another recipe, or there is nothing to train on.
        RecipeError, ParameterError, DatasetError, CatalogError, FlowError, EncoderError: See there.
    """
    from sentence_transformers import SentenceTransformer

    folder = Path(output)
    work = _claim(folder, recipe)
    base = find_base(recipe.base, work=work / "base")
    instructions = _instructions(base.folder) if recipe.data.instructions else None
    datasets = [open_dataset(spec) for spec in recipe.data.datasets]
    mining = load_encoder(str(base.folder)) if recipe.data.pairs.mined_negatives else None
    pairs, reports = training_pairs(datasets, recipe.data, instructions=instructions, encoder=mining, on_flow=on_flow)
    catalogs = [dataset.catalog for dataset in datasets]
    for text in advice(reports, pairs, catalogs=catalogs, has_dev=bool(recipe.dev.datasets)):
        on_advice(text)
    model = SentenceTransformer(str(base.folder), local_files_only=True)
    begin = time.monotonic()
    trainer = _fit(recipe, model, datasets, pairs, instructions, base=base.folder, work=work)
    seconds = time.monotonic() - begin
    history = trainer.state.log_history
    figures = [(entry["step"], _dev_figures(entry)) for entry in history if f"eval_{RECALL}" in entry]
    tuned = Tuned(
        folder=folder,
        base=base.name,
        pairs=len(pairs),
        steps=trainer.state.global_step,
        seconds=seconds,
        dev=figures,
        losses=[(entry["step"], entry["loss"]) for entry in history if "loss" in entry],
        reports=reports,
        licences={dataset.name: dataset.settings.licence for dataset in datasets if dataset.settings.licence},
    )
    _finish(model, tuned, recipe, base, instructions)
    shutil.rmtree(work)
    return tuned


def _claim(folder: Path, recipe: Recipe) -> Path:
    """Returns the folder of the run's checkpoints; of a run that was cut off, if it was of the same recipe."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TrainingError(f"{folder} is not empty; choose another folder, or remove it to train again")
    work = folder.absolute().with_name(f".{folder.absolute().name}.run")
    mark = work / RECIPE_FILE
    if mark.is_file() and mark.read_text(encoding="utf-8") != recipe.to_yaml():
        raise TrainingError(f"{work} holds a run of another recipe; remove it, or choose another output folder")
    work.mkdir(parents=True, exist_ok=True)
    mark.write_text(recipe.to_yaml(), encoding="utf-8")
    return work


def _instructions(folder: Path) -> InstructionSet:
    """Returns the instructions that the base was trained with; those of the package where it was trained without."""
    path = folder / INSTRUCTIONS_FILE
    return InstructionSet.from_path(path) if path.is_file() else InstructionSet.default()


def _fit(
    recipe: Recipe,
    model: Any,
    datasets: Sequence[Dataset],
    pairs: Sequence[Pair],
    instructions: InstructionSet | None,
    *,
    base: Path,
    work: Path,
) -> Any:
    from multiretriever.training.callbacks import newest_checkpoint
    from multiretriever.training.token_window import TokenWindow
    from multiretriever.training.tuning.dev import DevRecall
    from multiretriever.training.tuning.trainer import distill_task, make_trainer, pairs_task

    limit = model.max_seq_length
    window = TokenWindow(model.tokenizer, min(limit, recipe.training.max_tokens))
    model.max_seq_length = window.max_tokens
    if recipe.lora is not None:
        add_adapter(model, recipe.lora)
    dev = None
    if recipe.dev.datasets:
        sets = [open_dataset(spec) for spec in recipe.dev.datasets]
        dev = DevRecall(sets, window, instructions, recipe.dev.queries)
    if recipe.distill is None:
        task = pairs_task(recipe, model, pairs, window, instructions)
    else:
        task = distill_task(recipe, model, datasets, base, Path(recipe.distill.lists or work / "lists"))
    trainer = make_trainer(recipe, model, task, dev, work)
    checkpoint = newest_checkpoint(work)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if dev is not None:
        trainer.evaluate()
    model.max_seq_length = limit
    return trainer


def _finish(model: Any, tuned: Tuned, recipe: Recipe, base: Base, instructions: InstructionSet | None) -> None:
    """Writes the checkpoint beside its place and moves it there as a whole."""
    partial = tuned.folder.absolute().with_name(f".{tuned.folder.absolute().name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    if recipe.lora is not None:
        model = merge_adapter(model, base.folder, partial / ADAPTER)
    if instructions is not None:
        model.prompts = {"document": "", **instructions.prompts}
    model.save(str(partial), create_model_card=False)
    if instructions is not None:
        read = InstructionSet(instructions.templates, query_tokens=min(model.max_seq_length, recipe.training.max_tokens))
        (partial / INSTRUCTIONS_FILE).write_text(read.to_yaml(), encoding="utf-8", newline="\n")
    if recipe.tuned_share < 1:
        mixed = fuse_weights(base.folder, partial, partial.with_name(f"{partial.name}.mixed"), recipe.tuned_share)
        shutil.rmtree(partial)
        os.replace(mixed, partial)
    (partial / RECIPE_FILE).write_text(recipe.to_yaml(), encoding="utf-8")
    (partial / TRAINING_FILE).write_text(json.dumps(_facts(tuned, recipe), indent=2) + "\n", encoding="utf-8")
    write_training_card(partial, recipe, tuned)
    if tuned.folder.exists():
        tuned.folder.rmdir()
    os.replace(partial, tuned.folder)


def _facts(tuned: Tuned, recipe: Recipe) -> dict[str, Any]:
    return {
        "base": tuned.base,
        "pairs": tuned.pairs,
        "steps": tuned.steps,
        "seconds": round(tuned.seconds),
        "loss": [list(item) for item in tuned.losses],
        "dev": [[step, {name: round(value, 4) for name, value in figures.items()}] for step, figures in tuned.dev],
    }


def _dev_figures(entry: dict[str, Any]) -> dict[str, float]:
    known = ("eval_runtime", "eval_samples_per_second", "eval_steps_per_second")
    return {name.removeprefix("eval_"): value for name, value in entry.items() if name.startswith("eval_") and name not in known}
