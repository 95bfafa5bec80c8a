"""A cross-encoder as a teacher: it reads query and candidate together, which no index could afford; and how it is trained.

Its loss is binary cross entropy over single pairs of query and element, and not one over lists (LambdaLoss, or a softmax over the
batch), though those rank better in comparisons (arXiv 2603.03010). Scores are normalised over many queries, and lists dropped
when their positive scores low among all: that compares scores of different queries, and a loss over lists leaves the level of
each query's scores to chance. It also costs one pass of the model a pair, without products of queries and texts in a batch.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from multiretriever.core import ParameterError
from multiretriever.core.encoders import make_fingerprint
from multiretriever.core.errors import DatasetError, EncoderError, EncoderNotFoundError, MissingDependencyError, Problem
from multiretriever.core.instructions import Prompt
from multiretriever.core.progress import OnProgress, bars
from multiretriever.training.distill.lists import CandidateList
from multiretriever.training.distill.scores import ScoreLog, Scores, key_of
from multiretriever.training.export.restore import find_base
from multiretriever.training.pairs import Pair
from multiretriever.training.recipe import Precision, TeacherSettings
from multiretriever.training.row_files import replace_folder
from multiretriever.training.token_window import TokenWindow

# Pairs between two writes to the disk: about half a minute of work on a small machine.
CHUNK = 1024


class QueryReader(TokenWindow):
    """Fits queries into the part of a cross-encoder's window that is theirs.

    The tokenizer would cut the end of a long query, which is its newest part; here its oldest is cut, as in retrieval. The
    instruction is left out: all candidates of a list are of one type, and it would cost a tenth of the time.
    """

    name = "cross-encoder"

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        """Takes the tokenizer and how much is read of query and candidate together; five eighths are the query's."""
        super().__init__(tokenizer, max(3, max_tokens * 5 // 8))

    def read(self, prompt: Prompt) -> str:
        """Returns what is read of a query."""
        return self.cut(Prompt("", prompt.body))


def load_cross_encoder(folder: str | Path, *, max_tokens: int, device: str | None = None, fresh: bool = False) -> Any:
    """Loads a ``sentence_transformers.CrossEncoder`` with one output from a local folder; nothing is ever downloaded.

    Args:
        folder: The folder.
        max_tokens: Tokens of both texts together that are read.
        device: Where torch runs; None chooses.
        fresh: Whether the folder holds an encoder and no cross-encoder, and gets a new head on the mean of its token vectors.

    Raises:
        MissingDependencyError: sentence-transformers is not installed.
        EncoderNotFoundError: There is no such folder, or no checkpoint in it.
        EncoderError: It cannot be loaded, or has more than one output.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise EncoderNotFoundError(
            f"{folder} is no folder of a cross-encoder (config.json is not there); train-teacher makes one"
        )
    if not fresh and not _has_head(folder):
        # The library would give it a head of random numbers, and go on.
        raise EncoderError(f"{folder} holds an encoder and no cross-encoder, whose head gives a score; train-teacher makes one")
    try:
        from sentence_transformers import CrossEncoder  # torch takes seconds to import
    except ImportError as error:
        raise MissingDependencyError('sentence-transformers is not installed: pip install "multiretriever[train]"') from error
    try:
        if fresh:
            model = CrossEncoder(modules=_with_new_head(folder, max_tokens), device=device)
        else:
            model = CrossEncoder(str(folder), max_length=max_tokens, device=device, local_files_only=True)
    except Exception as error:  # the library lets errors of torch, safetensors and json through
        raise EncoderError(f"{folder} cannot be loaded as a cross-encoder: {error}") from error
    if model.num_labels != 1:
        raise EncoderError(f"the cross-encoder in {folder} has {model.num_labels} outputs, expected one: a score")
    return model


def _has_head(folder: Path) -> bool:
    """Returns whether a folder holds a model with a head for scores, or says that it is a cross-encoder of another make."""
    values: list[dict[str, Any]] = []
    for name in ("config.json", "config_sentence_transformers.json"):
        try:
            value = json.loads((folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            value = {}
        except (OSError, ValueError) as error:
            raise EncoderError(f"{folder / name} cannot be read: {error}") from error
        values.append(value if isinstance(value, dict) else {})
    model, library = values
    heads = [str(name) for name in model.get("architectures") or []]
    return library.get("model_type") == "CrossEncoder" or any(name.endswith("ForSequenceClassification") for name in heads)


def _with_new_head(folder: Path, max_tokens: int) -> list[Any]:
    """Returns the modules of a cross-encoder of which all but the last layer is an encoder's.

    The library would put the head on the first token's vector behind BERT's pooler. Encoders that pool by the mean have trained
    neither: scores stayed the same for every pair through 400 steps, where this head separates pairs after some tens.
    """
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    options = {"local_files_only": True}
    body = Transformer(
        str(folder), max_seq_length=max_tokens, model_kwargs=options, processor_kwargs=options, config_kwargs=options
    )
    size = body.get_embedding_dimension()
    return [body, Pooling(size, "mean"), Dense(size, 1, activation_function=None, module_output_name="scores")]


class CrossEncoderTeacher:
    """Scores by a ``sentence_transformers.CrossEncoder``; the scores are its logits.

    Attributes:
        name: Name of its folder.
        fingerprint: Digest of weights, settings and precision.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        max_tokens: int = 128,
        batch_size: int = 32,
        precision: Precision = "float32",
        device: str | None = None,
    ) -> None:
        """Loads a cross-encoder.

        Args:
            path: Its folder.
            max_tokens: Tokens of query and candidate together that are read.
            batch_size: Pairs that are scored at once.
            precision: Numbers that are computed with.
            device: Where torch runs; None chooses.

        Raises:
            ParameterError: A number is not positive.
            MissingDependencyError: sentence-transformers is not installed.
            EncoderError: It cannot be loaded, or has no or more than one output.
        """
        if max_tokens < 8 or batch_size < 1:
            raise ParameterError(f"max_tokens is at least 8 and batch_size 1, got {max_tokens}, {batch_size}")
        self.model = load_cross_encoder(path, max_tokens=max_tokens, device=device)
        if precision == "bfloat16":
            self.model.bfloat16()
        self._batch_size = batch_size
        self.query_reader = QueryReader(self.model.tokenizer, max_tokens)
        self.name = Path(path).resolve().name
        files = sorted({file for pattern in ("*.safetensors", "*.bin", "tokenizer.json") for file in Path(path).rglob(pattern)})
        digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
        self.fingerprint = make_fingerprint({"files": digests, "max_tokens": max_tokens, "precision": precision})

    def score(
        self, lists: Sequence[CandidateList], *, folder: Path | None = None, on_scored: Callable[[int, int], object] | None = None
    ) -> list[Scores]:
        """Scores each query and text once, longest first, so that a batch holds texts of about one length.

        With a folder, what is scored is written to ``scores-FINGERPRINT.jsonl`` there and never computed again.

        Raises:
            EncoderError: A score is not finite.
        """
        queries = {item.query: self.query_reader.read(item.prompt) for item in lists}
        keys = [[key_of(queries[item.query], text) for text in item.candidates] for item in lists]
        wanted = {
            key: (queries[item.query], text)
            for item, row in zip(lists, keys, strict=True)
            for key, text in zip(row, item.candidates, strict=True)
        }
        log = ScoreLog(folder / f"scores-{self.fingerprint}.jsonl") if folder is not None else None
        known = log.read() if log is not None else {}
        missing = sorted((key for key in wanted if key not in known), key=lambda key: -sum(map(len, wanted[key])))
        for start in range(0, len(missing), CHUNK):
            chunk = missing[start : start + CHUNK]
            found = self._scores([wanted[key] for key in chunk], chunk)
            if log is not None:
                log.add(found)
            known.update(found)
            if on_scored is not None:
                on_scored(len(wanted) - len(missing) + start + len(chunk), len(wanted))
        return [tuple(known[key] for key in row) for row in keys]

    def _scores(self, texts: Sequence[tuple[str, str]], keys: Sequence[str]) -> dict[str, float]:
        import torch

        values = self.model.predict(
            list(texts), batch_size=self._batch_size, activation_fn=torch.nn.Identity(), show_progress_bar=False
        )
        if not np.all(np.isfinite(values)):
            raise EncoderError(f"the cross-encoder {self.name!r} returned a score that is not finite; it cannot teach")
        return {key: float(value) for key, value in zip(keys, values, strict=True)}


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
    queries: dict[str, str] = {}
    negatives = 0
    for pair in pairs:
        if pair.query not in queries:
            queries[pair.query] = reader.read(pair.prompt)
        query = queries[pair.query]
        found[(query, pair.positive, 1.0)] = None
        for text in pair.negatives[: settings.negatives]:
            found[(query, text, 0.0)] = None
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

        from multiretriever.training.callbacks import LengthBatchSampler, MarkComplete, newest_checkpoint
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
