"""A recipe put into the trainer of sentence-transformers."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import ContrastiveLoss, MatryoshkaLoss
from transformers import EarlyStoppingCallback, TrainerCallback

from multiretriever.core import InstructionSet, load_encoder
from multiretriever.core.errors import EncoderError, MissingDependencyError, TrainingError
from multiretriever.datasets import Dataset
from multiretriever.training.callbacks import LengthBatchSampler, MarkComplete
from multiretriever.training.distill import load_teacher, prepare
from multiretriever.training.pairs import Pair
from multiretriever.training.recipe import LoraSection, Recipe
from multiretriever.training.token_window import TokenWindow
from multiretriever.training.tuning.dev import RECALL, DevRecall
from multiretriever.training.tuning.loss import Bank, CachedRankingLoss, RankingLoss, RefreshBank
from multiretriever.training.tuning.rows import add_rehearsal, contrastive_data, make_rows, ranking_data, rehearsal_texts


class TimeLimit(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Ends training after some minutes; what was learned until then is kept."""

    def __init__(self, minutes: float) -> None:
        """Makes the callback."""
        self._seconds = minutes * 60
        self._begin = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Starts the clock."""
        self._begin = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Stops where time is over."""
        if time.monotonic() - self._begin > self._seconds:
            control.should_training_stop = True
            # What was learned since the last checkpoint is to have its chance to be the best.
            control.should_save = True
            control.should_evaluate = args.eval_strategy != "no"


@dataclass(frozen=True)
class Task:
    """What is learned.

    Attributes:
        data: Rows as the trainer takes them: a ``datasets.Dataset``, or several in a ``DatasetDict``.
        loss: The loss that they are made for.
        callbacks: What the loss wants to be called back for.
    """

    data: Any
    loss: Any
    callbacks: tuple[TrainerCallback, ...] = ()

    def batches(self, size: int) -> int:
        """Returns the number of batches of an epoch."""
        parts = self.data.values() if isinstance(self.data, dict) else [self.data]
        return sum(math.ceil(len(part) / size) for part in parts)


def pairs_task(
    recipe: Recipe, model: SentenceTransformer, pairs: Sequence[Pair], window: TokenWindow, instructions: InstructionSet | None
) -> Task:
    """Returns the task of learning from pairs, by the loss of the recipe.

    Args:
        recipe: The recipe.
        model: The encoder to be trained.
        pairs: Training pairs.
        window: Cuts queries to what is read.
        instructions: Holds the general instruction, for rehearsal; None where queries are bare.
    """
    section = recipe.loss
    rows, answers = make_rows(pairs, negatives=section.negatives, cut=window.cut)
    if not rows:
        raise TrainingError(
            f"no pair has {section.negatives} negatives; ask for fewer under loss.negatives, or for more under data.pairs"
        )
    if recipe.data.rehearses:  # else every pair's query would be parsed for nothing
        texts = rehearsal_texts(pairs, recipe.data.rehearsal, recipe.data.passages, recipe.training.seed)
        add_rehearsal(rows, answers, texts, instructions, window)
    if section.name == "contrastive":
        return Task(contrastive_data(rows), ContrastiveLoss(model, margin=section.margin))
    bank = Bank(model, answers, size=section.bank, seed=recipe.training.seed) if section.name == "catalog" else None
    options: dict[str, Any] = {"temperature": section.temperature, "bank": bank}
    if section.mini_batch is not None:
        loss: RankingLoss = CachedRankingLoss(model, answers, mini_batch_size=section.mini_batch, **options)
    else:
        loss = RankingLoss(model, answers, anchor=section.anchor, rehearsal=section.rehearsal_weight, **options)
    return Task(ranking_data(rows), loss, (RefreshBank(bank, section.refresh_steps),) if bank is not None else ())


def distill_task(recipe: Recipe, model: SentenceTransformer, datasets: Sequence[Dataset], base: Path, folder: Path) -> Task:
    """Returns the task of learning a teacher's rankings. Lists and scores go to ``folder`` and are used again from there.

    Args:
        recipe: The recipe; it has a section ``distill``.
        model: The encoder to be trained.
        datasets: What queries and candidates come from.
        base: Checkpoint of the base, which finds candidates where the recipe names no encoder.
        folder: Where lists and scores go.
    """
    section = recipe.distill
    assert section is not None
    encoders = [load_encoder(spec) for spec in section.encoders or (str(base),)]
    settings = section.settings
    teacher = load_teacher(
        section.teacher, max_tokens=settings.max_tokens, batch_size=settings.batch_size, precision=settings.precision
    )
    return Task(prepare(datasets, settings, encoders, teacher, folder, progress=True), settings.loss(model))


def make_trainer(
    recipe: Recipe, model: SentenceTransformer, task: Task, dev: DevRecall | None, folder: Path
) -> SentenceTransformerTrainer:
    """Makes the trainer.

    Args:
        recipe: The recipe.
        model: The encoder to be trained.
        task: What is learned.
        dev: What the best checkpoint is chosen by; None for the last.
        folder: Where checkpoints go.
    """
    dimensions = list(recipe.matryoshka)
    return SentenceTransformerTrainer(
        model=model,
        args=training_arguments(recipe, folder, batches=task.batches(recipe.training.batch_size), choosing=dev is not None),
        train_dataset=task.data,
        loss=MatryoshkaLoss(model, task.loss, matryoshka_dims=dimensions) if dimensions else task.loss,
        evaluator=dev,
        callbacks=[*task.callbacks, *_callbacks(recipe, choosing=dev is not None)],
    )


def _callbacks(recipe: Recipe, *, choosing: bool) -> list[TrainerCallback]:
    section = recipe.training
    callbacks: list[TrainerCallback] = [MarkComplete()]
    if section.minutes is not None:
        callbacks.append(TimeLimit(section.minutes))
    if choosing and section.patience is not None and section.evaluate_steps is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=section.patience))
    return callbacks


def training_arguments(recipe: Recipe, folder: Path, *, batches: int, choosing: bool) -> SentenceTransformerTrainingArguments:
    """Returns the trainer's arguments for a recipe.

    Args:
        recipe: The recipe.
        folder: Where checkpoints go.
        batches: Batches of an epoch.
        choosing: Whether the best checkpoint is chosen by dev recall.
    """
    section = recipe.training
    steps = section.steps or max(1, math.ceil(batches * section.epochs / section.accumulate))
    during = choosing and section.evaluate_steps is not None
    # The best checkpoint can only be loaded where each evaluation has one.
    save_steps = section.evaluate_steps if during else section.save_steps
    warmup = section.warmup_steps if section.warmup_steps >= 1 else math.ceil(section.warmup_steps * steps)
    return SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=section.batch_size,
        gradient_accumulation_steps=section.accumulate,
        learning_rate=section.learning_rate,
        warmup_steps=int(warmup),
        lr_scheduler_type=section.schedule,
        weight_decay=section.weight_decay,
        optim=section.optimizer,
        gradient_checkpointing=section.gradient_checkpointing,
        bf16=section.bf16,
        # transformers takes a machine without an accelerator for one that cannot compute in bfloat16, unless it is given.
        use_cpu=not torch.accelerator.is_available(),
        batch_sampler=LengthBatchSampler,
        eval_strategy="steps" if during else "no",
        eval_steps=section.evaluate_steps if during else None,
        save_strategy="steps",
        save_steps=save_steps,
        save_total_limit=2,
        load_best_model_at_end=during,
        metric_for_best_model=RECALL if during else None,
        greater_is_better=True if during else None,
        logging_steps=max(1, min(20, steps // 10)),
        logging_first_step=True,
        report_to=list(section.report_to),
        dataloader_pin_memory=False,
        seed=section.seed,
        data_seed=section.seed,
    )


ADAPTER = "adapter"


def add_adapter(model: Any, section: LoraSection) -> None:
    """Puts adapters on the queries, keys, values and outputs of all layers; all other weights are frozen.

    Raises:
        MissingDependencyError: peft is not installed.
        EncoderError: The model has no layers that peft knows.
    """
    try:
        from peft import LoraConfig, TaskType
    except ImportError as error:
        raise MissingDependencyError('peft is not installed: pip install "multiretriever[lora]"') from error
    config = LoraConfig(
        task_type=TaskType.FEATURE_EXTRACTION,
        r=section.rank,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules="all-linear",
    )
    try:
        model.add_adapter(config)
    except (ValueError, AttributeError) as error:
        raise EncoderError(f"no adapters can be put on this encoder: {error}") from error


def merge_adapter(model: Any, base: Path, folder: Path) -> Any:
    """Saves the adapters into ``folder`` and returns the base with them merged into its weights."""
    from peft import PeftModel
    from sentence_transformers import SentenceTransformer

    folder.mkdir(parents=True, exist_ok=True)
    model[0].auto_model.save_pretrained(str(folder))
    merged = SentenceTransformer(str(base), local_files_only=True)
    merged[0].auto_model = PeftModel.from_pretrained(merged[0].auto_model, str(folder)).merge_and_unload()
    return merged
