"""The default encoder: ONNX Runtime and tokenizers, without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
from pydantic import ConfigDict

from multiretriever.core.encoders.base import Vectors, make_fingerprint, unit_vectors
from multiretriever.core.errors import EncoderError, EncoderNotFoundError
from multiretriever.core.instructions import InstructionSet

CONFIG_FILE = "encoder.json"
_BATCH = 32
_SPECIAL_TOKENS = 2
# Past two threads a model of this size gains little, and the rest of the machine belongs to the application.
_THREADS = 2


class EncoderConfig(pydantic.BaseModel):
    """``encoder.json``: what a folder with an exported encoder says of itself.

    Attributes:
        instructions: ``default`` for the templates of this package, a file name in the folder for its own, None for none.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    format: int
    name: str
    dimension: int = pydantic.Field(gt=0)
    pooling: str
    normalize: bool
    max_length: int = pydantic.Field(gt=_SPECIAL_TOKENS)
    document_prompt: str = ""
    instructions: str | None = None
    model_sha256: str


class OnnxEncoder:
    """Encodes with a folder of ``model.onnx``, ``tokenizer.json`` and ``encoder.json`` (see ``multiretriever.training.export``).

    Text past the window (``max_length`` tokens) is not read. Safe to share between threads.
    """

    def __init__(self, folder: str | Path, *, threads: int = _THREADS) -> None:
        """Loads an exported encoder.

        Args:
            folder: The folder.
            threads: Threads for one batch.

        Raises:
            EncoderNotFoundError: The folder or one of its files is missing.
            EncoderError: A file is damaged.
        """
        self._folder = Path(folder)
        self._config = _read_config(self._folder)
        self._session = _open_session(self._file("model.onnx"), threads)
        self._inputs = {item.name for item in self._session.get_inputs()}
        self._tokenizer = _open_tokenizer(self._file("tokenizer.json"), self._config.max_length)

    def _file(self, name: str) -> Path:
        path = self._folder / name
        if not path.is_file():
            raise EncoderNotFoundError(f"{path} is missing; the folder of an exported encoder holds it")
        return path

    @property
    def name(self) -> str:
        """Name for people."""
        return self._config.name

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._config.dimension

    @cached_property
    def fingerprint(self) -> str:
        """Digest of weights, document prompt, pooling, normalisation and longest input."""
        config = self._config
        return make_fingerprint(
            {
                "weights": config.model_sha256,
                "tokenizer": hashlib.sha256(self._file("tokenizer.json").read_bytes()).hexdigest(),
                "document_prompt": config.document_prompt,
                "pooling": config.pooling,
                "normalize": config.normalize,
                "max_length": config.max_length,
            }
        )

    @cached_property
    def instructions(self) -> InstructionSet | None:
        """Instructions that the encoder was trained with; None when it was trained without."""
        if self._config.instructions is None:
            return None
        if self._config.instructions == "default":
            return InstructionSet.default()
        return InstructionSet.from_path(self._folder / self._config.instructions)

    @property
    def window(self) -> int:
        """Tokens of text that are read; special tokens not counted."""
        return self._config.max_length - _SPECIAL_TOKENS

    @cached_property
    def _offsets(self) -> Any:
        # Needed for long queries alone, and as slow to load as the other one.
        return _open_tokenizer(self._file("tokenizer.json"), None)

    def token_starts(self, text: str) -> list[int]:
        """Returns the offset in ``text`` of each of its tokens, special tokens left out."""
        return [start for start, _ in self._offsets.encode(text, add_special_tokens=False).offsets]

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched. Returns float32 [len(texts), dimension], each row of length 1."""
        return self._encode([self._config.document_prompt + text for text in texts])

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with. Returns float32 [len(texts), dimension], each row of length 1."""
        return self._encode(list(texts))

    def _encode(self, texts: list[str]) -> Vectors:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        # Texts of like length share a batch, since every text in a batch costs as much as the longest.
        encodings = self._tokenizer.encode_batch(texts)
        order = sorted(range(len(texts)), key=lambda index: len(encodings[index].ids))
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            vectors[chosen] = self._run([encodings[index].ids for index in chosen])
        return unit_vectors(vectors, len(texts), self.dimension, self.name)

    def _run(self, rows: list[list[int]]) -> Vectors:
        width = max(len(row) for row in rows)
        ids = np.zeros((len(rows), width), dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        try:
            (output,) = self._session.run(["embedding"], {name: feed[name] for name in self._inputs})
        except Exception as error:  # onnxruntime raises classes of its own that it does not export
            raise EncoderError(f"encoder {self.name!r} failed on a batch of shape {ids.shape}: {error}") from error
        return np.asarray(output, dtype=np.float32)


def _read_config(folder: Path) -> EncoderConfig:
    path = folder / CONFIG_FILE
    try:
        return EncoderConfig.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise EncoderNotFoundError(f"{path} is missing; {folder} is not the folder of an exported encoder") from error
    except (OSError, pydantic.ValidationError, json.JSONDecodeError) as error:
        raise EncoderError(f"{path} cannot be read as the description of an encoder: {error}") from error


def _open_session(path: Path, threads: int) -> Any:
    import onnxruntime  # 0.1 s that commands which encode nothing need not pay

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads take a whole core each while they wait and slow everything else in the process.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that it does not export
        raise EncoderError(f"{path} cannot be loaded as an ONNX model: {error}") from error


def _open_tokenizer(path: Path, max_length: int | None) -> Any:
    from tokenizers import Tokenizer  # see _open_session

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise EncoderError(f"{path} cannot be loaded as a tokenizer: {error}") from error
    # Files of this kind often have padding to 128 tokens and truncation baked in; a short query would pay for all of them.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if max_length is not None:
        tokenizer.enable_truncation(max_length)
    return tokenizer
