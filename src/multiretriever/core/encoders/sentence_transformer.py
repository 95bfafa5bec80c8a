"""An encoder from a sentence-transformers checkpoint: a local folder, or a hub name when it is asked for."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multiretriever.core.encoders.base import Vectors, make_fingerprint, unit_vectors
from multiretriever.core.errors import EncoderError, EncoderNotFoundError, MissingDependencyError
from multiretriever.core.instructions import InstructionSet

INSTRUCTIONS_FILE = "instructions.yaml"
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_SETTINGS = ("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json", "*_Pooling/config.json")


class SentenceTransformerEncoder:
    """Encodes with sentence-transformers and torch. Safe to share between threads (they take turns)."""

    def __init__(
        self,
        path: str | Path,
        *,
        device: str | None = None,
        batch_size: int = 32,
        instructions: InstructionSet | None = None,
        from_hub: bool = False,
        revision: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        """Loads a checkpoint.

        Args:
            path: Folder of the checkpoint; a hub name with ``from_hub``.
            device: Where torch runs; None chooses.
            batch_size: Texts a batch.
            instructions: Instructions to use; None takes ``instructions.yaml`` of the checkpoint, if there is one.
            from_hub: Whether ``path`` is a hub name. Only then is the network used.
            revision: Commit of the hub repository. Needed with ``trust_remote_code``.
            trust_remote_code: Whether Python code of the repository may run.

        Raises:
            MissingDependencyError: sentence-transformers is not installed.
            EncoderNotFoundError: There is no checkpoint at ``path``.
            EncoderError: The checkpoint cannot be loaded.
        """
        if trust_remote_code and not revision:
            raise EncoderError("trust_remote_code runs code of the repository: pin it by revision=<commit>")
        self._path = str(path)
        self._folder = None if from_hub else _checkpoint_folder(Path(path))
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self._model = _load_model(self._path, from_hub, device, revision, trust_remote_code)
        self._instructions = instructions or _read_instructions(self._folder)
        self.name = Path(self._path).name if self._folder else self._path
        # The first name is that of newer versions of sentence-transformers, the second that of 5.1.
        tell = getattr(self._model, "get_embedding_dimension", None) or self._model.get_sentence_embedding_dimension
        self.dimension = int(tell())
        self.fingerprint = make_fingerprint(self._facts(revision))

    def _facts(self, revision: str | None) -> dict[str, Any]:
        prompt = (self._model.prompts or {}).get("document", "")
        facts = {"kind": "sentence-transformers", "document_prompt": prompt, "max_length": self._model.max_seq_length}
        if self._folder is None:
            return {**facts, "hub": self._path, "revision": revision, "state": _state_digest(self._model)}
        return {**facts, "files": _digest_files(self._folder)}

    @property
    def instructions(self) -> InstructionSet | None:
        """Instructions that the checkpoint was trained with; None when it was trained without."""
        return self._instructions

    @property
    def window(self) -> int:
        """Tokens of text that are read; special tokens not counted."""
        longest = self._model.max_seq_length
        # A static model reads everything, and says so by None or infinity.
        return sys.maxsize if longest is None or math.isinf(longest) else int(longest) - 2

    def token_starts(self, text: str) -> list[int]:
        """Returns the offset in ``text`` of each of its tokens, special tokens left out."""
        encoding = self._model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [start for start, _ in encoding["offset_mapping"]]

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched, with the checkpoint's document prompt. Returns float32 [len(texts), dimension]."""
        return self._encode(self._model.encode_document, texts)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with; the instruction is part of the text. Returns float32 [len(texts), dimension]."""
        # Not encode_query: the checkpoint's query prompt is an instruction, and ours is already in the text.
        return self._encode(self._model.encode if self._instructions else self._model.encode_query, texts)

    def _encode(self, encode: Any, texts: Sequence[str]) -> Vectors:
        if not texts:
            return unit_vectors([], 0, self.dimension, self.name)
        with self._lock:
            values = encode(list(texts), batch_size=self._batch_size, show_progress_bar=False, convert_to_numpy=True)
        return unit_vectors(values, len(texts), self.dimension, self.name)


def _checkpoint_folder(path: Path) -> Path:
    # sentence-transformers would try the hub for a mistyped path, and load any folder as mean pooling.
    if not path.is_dir():
        raise EncoderNotFoundError(f"there is no folder {path}; for a model of the Hugging Face hub write hub:{path}")
    if not (path / "modules.json").is_file():
        raise EncoderNotFoundError(f"{path} has no modules.json; expected a checkpoint saved by sentence-transformers")
    return path


def _load_model(path: str, from_hub: bool, device: str | None, revision: str | None, trust_remote_code: bool) -> Any:
    try:
        from sentence_transformers import SentenceTransformer  # optional, and it brings torch
    except ImportError as error:
        raise MissingDependencyError('sentence-transformers is not installed: pip install "multiretriever[torch]"') from error
    try:
        return SentenceTransformer(
            path, device=device, revision=revision, trust_remote_code=trust_remote_code, local_files_only=not from_hub
        )
    except Exception as error:  # the library lets errors of torch, safetensors, json and the hub through
        raise EncoderError(f"{path} cannot be loaded by sentence-transformers: {error}") from error


def _read_instructions(folder: Path | None) -> InstructionSet | None:
    path = folder / INSTRUCTIONS_FILE if folder else None
    return InstructionSet.from_path(path) if path and path.is_file() else None


def _digest_files(folder: Path) -> dict[str, str]:
    files = sorted({file for pattern in (*_WEIGHTS, *_SETTINGS, "tokenizer.json") for file in folder.rglob(pattern)})
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _state_digest(model: Any) -> str:
    digest = hashlib.sha256(json.dumps([str(module) for module in model]).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()
