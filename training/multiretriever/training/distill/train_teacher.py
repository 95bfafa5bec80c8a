"""Training a cross-encoder to teach, on training pairs.

The loss is binary cross entropy over single pairs of query and element, and not one over lists (LambdaLoss, or a softmax over the
batch), though those rank better in comparisons (arXiv 2603.03010). Scores are normalised over many queries, and lists dropped
when their positive scores low among all: that compares scores of different queries, and a loss over lists leaves the level of
each query's scores to chance. It also costs one pass of the model a pair, without products of queries and texts in a batch.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from multiretriever.core import ParameterError, Problem
from multiretriever.core.errors import DatasetError, EncoderError, MissingDependencyError
from multiretriever.training.checkpoint import find_base
from multiretriever.training.distill.cross_encoder import QueryReader, load_cross_encoder
from multiretriever.training.distill.progress import OnProgress, bars
from multiretriever.training.distill.prompts import split_prompt
from multiretriever.training.distill.settings import TeacherSettings
from multiretriever.training.encoder_folder import replace_folder
from multiretriever.training.pairs import Pair

SETTINGS_FILE = "teacher.json"
_Row = tuple[str, str, float]


def train_teacher(
    pairs: Iterable[Pair], output: str | Path, settings: TeacherSettings | None = None, *, progress: bool = False
) -> Path:
    """Trains a cross-encoder and returns its folder.

    Checkpoints stand in ``.NAME.training`` beside the folder until it is finished. A run that was interrupted goes on from the
    last of them, when pairs and settings are the same.

    Args:
        pairs: Training pairs with negatives; best with mined ones, which are what a teacher has to tell apart.
        output: Folder of the cross-encoder: new, empty, or one that was made here, which is replaced.
        settings: How to train.
        progress: Whether to show a bar on standard error.

    Raises:
        DatasetError: There are no pairs, or none with negatives.
        ParameterError: The folder holds something else.
        EncoderError: The base cannot be loaded, or training ended in numbers that are not finite.
        MissingDependencyError: The extra ``train`` is not installed.
    """
    settings = settings or TeacherSettings()
    folder = Path(output)
    if folder.exists() and not ((folder / SETTINGS_FILE).is_file() or (folder.is_dir() and not any(folder.iterdir()))):
        raise ParameterError(f"{folder} holds something else than a teacher and would be replaced; choose another folder")
    library = _library()
    work = folder.with_name(f".{folder.name}.training")
    base = find_base(settings.base, work=work / "base")
    library["seed"](settings.seed)  # the head is drawn by chance
    model = load_cross_encoder(base.folder, max_tokens=settings.max_tokens, fresh=True)
    rows = _rows(pairs, QueryReader(model.tokenizer, settings.max_tokens), settings)
    facts = {"base": base.name, **settings.model_dump(exclude={"base", "save_every"}), "rows": _digest(rows)}
    _open_work(work, facts)
    with bars(shown=progress) as on_progress:
        trainer = _trainer(library, model, rows, work, settings, on_progress)
        checkpoint = library["newest_checkpoint"](work)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if any(not bool(value.isfinite().all()) for value in model.state_dict().values() if value.is_floating_point()):
        raise EncoderError("training ended in weights that are not finite; lower the learning rate")
    finished = work / "finished"
    model.save_pretrained(str(finished), create_model_card=False)
    (finished / SETTINGS_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8", newline="\n")
    folder.parent.mkdir(parents=True, exist_ok=True)
    replace_folder(finished, folder)
    shutil.rmtree(work, ignore_errors=True)
    return folder


def _rows(pairs: Iterable[Pair], reader: QueryReader, settings: TeacherSettings) -> list[_Row]:
    """Returns query, text and label of each positive and negative, each once."""
    found: dict[_Row, None] = {}
    queries: dict[tuple[str, str], str] = {}
    negatives = 0
    for pair in pairs:
        key = (pair.query, pair.template)
        if key not in queries:
            queries[key] = reader.read(split_prompt(*key))
        found[(queries[key], pair.positive, 1.0)] = None
        for text in pair.negatives[: settings.negatives]:
            found[(queries[key], text, 0.0)] = None
            negatives += 1
    if not found or not negatives:
        what = "no negatives are in the pairs; make pairs with negatives" if found else "there are no pairs"
        raise DatasetError([Problem(what, "pairs")])
    # Two elements may have one text; what is a positive is no negative.
    return [row for row in found if row[2] == 1.0 or (row[0], row[1], 1.0) not in found]


def _digest(rows: Sequence[_Row]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()[:16]


def _open_work(work: Path, facts: dict[str, Any]) -> None:
    """Makes the folder of checkpoints; those of other pairs or settings are thrown away."""
    path = work / SETTINGS_FILE
    text = json.dumps(facts, indent=2) + "\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        for checkpoint in work.glob("checkpoint-*"):
            shutil.rmtree(checkpoint, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    shutil.rmtree(work / "finished", ignore_errors=True)


def _trainer(
    library: dict[str, Any], model: Any, rows: Sequence[_Row], work: Path, settings: TeacherSettings, on_progress: OnProgress
) -> Any:
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("query", "text", "label"))}
    arguments = library["arguments"](
        output_dir=str(work),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        warmup_steps=round(settings.warmup * settings.steps),
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        bf16=settings.bf16,
        batch_sampler=library["sampler"],
        save_strategy="steps",
        save_steps=settings.save_every,
        save_total_limit=2,
        logging_steps=max(1, settings.steps // 20),
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=False,
    )
    learned = library["dataset"](columns)
    trainer = library["trainer"](model=model, args=arguments, train_dataset=learned, loss=library["loss"](model))
    trainer.remove_callback(library["printer"])  # it writes to standard output, which belongs to the caller
    trainer.add_callback(library["callback"](on_progress))
    trainer.add_callback(library["mark"]())
    return trainer


def _library() -> dict[str, Any]:
    """Returns what is used of sentence-transformers, transformers, datasets and torch, which take seconds to import."""
    try:
        from datasets import Dataset
        from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
        from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
        from transformers import PrinterCallback, TrainerCallback, set_seed

        from multiretriever.training.resuming import MarkComplete, newest_checkpoint
        from multiretriever.training.tuning.sampler import LengthBatchSampler
    except ImportError as error:
        raise MissingDependencyError('training needs more packages: pip install "multiretriever[train]"') from error

    class Steps(TrainerCallback):  # type: ignore[misc]
        def __init__(self, on_progress: OnProgress) -> None:
            self._on_progress = on_progress

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._on_progress("steps", state.global_step, state.max_steps)

    return {
        "dataset": Dataset.from_dict,
        "trainer": CrossEncoderTrainer,
        "arguments": CrossEncoderTrainingArguments,
        "loss": BinaryCrossEntropyLoss,
        "printer": PrinterCallback,
        "callback": Steps,
        "mark": MarkComplete,
        "newest_checkpoint": newest_checkpoint,
        "sampler": LengthBatchSampler,
        "seed": set_seed,
    }
