"""A cross-encoder as a teacher: it reads query and candidate together, which no index could afford."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from multiretriever.core import ParameterError
from multiretriever.core.encoders import make_fingerprint
from multiretriever.core.errors import EncoderError, EncoderNotFoundError, MissingDependencyError
from multiretriever.core.instructions import Prompt
from multiretriever.training.distill.lists import CandidateList
from multiretriever.training.distill.prompts import fitted
from multiretriever.training.distill.scoring import ScoreLog, Scores, key_of
from multiretriever.training.distill.settings import Precision

# Pairs between two writes to the disk: about half a minute of work on a small machine.
CHUNK = 1024


class QueryReader:
    """Fits queries into the part of a cross-encoder's window that is theirs.

    The tokenizer would cut the end of a long query, which is its newest part; here its oldest is cut, as in retrieval. The
    instruction is left out: all candidates of a list are of one type, and it would cost a tenth of the time.
    """

    name = "cross-encoder"

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        """Takes the tokenizer and how much is read of query and candidate together; five eighths are the query's."""
        self._tokenizer = tokenizer
        self.window = max(1, max_tokens * 5 // 8 - 2)

    def token_starts(self, text: str) -> list[int]:
        """Returns the offset in ``text`` of each of its tokens, special tokens left out."""
        encoding = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [start for start, _ in encoding["offset_mapping"]]

    def read(self, prompt: Prompt) -> str:
        """Returns what is read of a query."""
        return fitted(self, Prompt("", prompt.body))


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
        raise EncoderError(f"{folder} holds an encoder and no cross-encoder, whose head tells a score; train-teacher makes one")
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
        raise EncoderError(f"the cross-encoder in {folder} has {model.num_labels} outputs; one, a score, is due")
    return model


def _has_head(folder: Path) -> bool:
    """Tells whether a folder holds a model with a head for scores, or says that it is a cross-encoder of another make."""
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
    neither: scores stayed the same for every pair through 400 steps, where this head tells pairs apart after some tens.
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
            raise ParameterError(f"max_tokens is at least 8 and batch_size 1 (got {max_tokens}, {batch_size})")
        self._model = load_cross_encoder(path, max_tokens=max_tokens, device=device)
        if precision == "bfloat16":
            self._model.bfloat16()
        self._batch_size = batch_size
        self._reader = QueryReader(self._model.tokenizer, max_tokens)
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
        queries = {item.query: self._reader.read(item.prompt) for item in lists}
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

        values = self._model.predict(
            list(texts), batch_size=self._batch_size, activation_fn=torch.nn.Identity(), show_progress_bar=False
        )
        if not np.all(np.isfinite(values)):
            raise EncoderError(f"the cross-encoder {self.name!r} gave a score that is not finite; it cannot teach")
        return {key: float(value) for key, value in zip(keys, values, strict=True)}
