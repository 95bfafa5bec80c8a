"""Finding the encoder that a name or a path means; reading and writing the folder of a fused one."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path

import pydantic
from pydantic import ConfigDict

from multiretriever.core.encoders.base import Encoder
from multiretriever.core.encoders.derived import SHARE, FusedEncoder, TruncatedEncoder
from multiretriever.core.encoders.onnx import CONFIG_FILE, OnnxEncoder
from multiretriever.core.errors import EncoderError, EncoderNotFoundError, ParameterError

# Not importlib.resources: the namespace has several roots in a development install, and only the one of this file has data.
_ROOT = Path(__file__).resolve().parents[2]
DEFAULT_MODEL = _ROOT / "models" / "multiretriever-minilm-l6"

HUB_PREFIX = "hub:"
FUSED_FILE = "fused.json"


class FusedConfig(pydantic.BaseModel):
    """``fused.json``: which encoders are fused, and how.

    Attributes:
        base: Encoder as for ``load_encoder``; a path is relative to the folder of the file. None for the shipped one.
        tuned: The tuned encoder, likewise.
        share: The tuned encoder's share, 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str | None
    tuned: str
    share: float = pydantic.Field(default=SHARE, ge=0, le=1)


@lru_cache(maxsize=1)
def default_encoder() -> Encoder:
    """Returns the encoder that the package ships, loaded once a process."""
    return OnnxEncoder(DEFAULT_MODEL)


def load_encoder(spec: str | Path | Encoder | None = None) -> Encoder:
    """Returns an encoder.

    Args:
        spec: None for the shipped one; a folder with an exported encoder (``encoder.json``), with two fused ones
            (``fused.json``) or with a sentence-transformers checkpoint; ``FOLDER#DIMENSION`` for the first numbers of its
            vectors alone; ``hub:NAME`` for a model of the Hugging Face hub (the only form that uses the network); or an encoder,
            returned as it is.

    Raises:
        EncoderNotFoundError: There is no such folder, or it holds no encoder.
        EncoderError: It is neither a path nor an encoder, or cannot be loaded.
        MissingDependencyError: sentence-transformers is needed and not installed.
    """
    if spec is None:
        return default_encoder()
    if not isinstance(spec, str | Path):
        if not isinstance(spec, Encoder):
            raise EncoderError(f"an encoder is a path, hub:NAME or an object with the methods of Encoder (got {spec!r})")
        return spec
    from multiretriever.core.encoders.sentence_transformer import SentenceTransformerEncoder  # rarely needed

    text = str(spec)
    if text.startswith(HUB_PREFIX):
        if not text.removeprefix(HUB_PREFIX).strip():
            raise EncoderNotFoundError(f"{text!r} names no model; write hub:OWNER/NAME")
        return SentenceTransformerEncoder(text.removeprefix(HUB_PREFIX), from_hub=True)
    if not text.strip():
        raise EncoderNotFoundError("the path of the encoder is empty; leave it out for the encoder that is shipped")
    folder = Path(text)
    whole, _, dimension = text.rpartition("#")
    if whole and dimension.isdecimal() and not folder.exists():
        return TruncatedEncoder(load_encoder(whole), int(dimension))
    if (folder / CONFIG_FILE).is_file():
        return OnnxEncoder(folder)
    if (folder / FUSED_FILE).is_file():
        return load_fused(folder)
    return SentenceTransformerEncoder(folder)


def load_fused(folder: str | Path) -> FusedEncoder:
    """Reads a folder with ``fused.json``.

    Raises:
        EncoderNotFoundError: The file is not there, or one of the two encoders is not.
        EncoderError: The file is not valid, or an encoder cannot be loaded.
    """
    folder = Path(folder)
    path = folder / FUSED_FILE
    try:
        config = FusedConfig.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise EncoderNotFoundError(f"{path} is missing; the folder of a fused encoder holds it") from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read as the description of a fused encoder: {error}") from error
    base, tuned = (load_encoder(_resolved(spec, folder)) for spec in (config.base, config.tuned))
    return FusedEncoder(base, tuned, config.share, name=folder.resolve().name)


def save_fused(folder: str | Path, base: str | Path | None, tuned: str | Path, share: float = SHARE) -> Path:
    """Writes ``fused.json``, so that ``load_encoder(folder)`` loads the fused encoder. The two encoders stay where they are.

    Args:
        folder: Folder of the file; made where it is not there.
        base: The base, as for ``load_encoder``; paths are written relative to the folder.
        tuned: The tuned encoder, likewise.
        share: The tuned one's share.

    Raises:
        ParameterError: The share is not valid, or the file cannot be written.
    """
    folder = Path(folder)
    try:
        config = FusedConfig(base=_relative(base, folder), tuned=_relative(tuned, folder) or "", share=share)
    except pydantic.ValidationError as error:
        raise ParameterError(f"the share of the tuned encoder is a number from 0 to 1 (got {share!r})") from error
    part = folder / f".{FUSED_FILE}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(config.model_dump(), indent=2) + "\n", encoding="utf-8")
        os.replace(part, folder / FUSED_FILE)
    except OSError as error:
        raise ParameterError(f"{folder / FUSED_FILE} cannot be written: {error.strerror or error}") from error
    return folder


def _resolved(spec: str | None, folder: Path) -> str | None:
    if spec is None or spec.startswith("hub:"):
        return spec
    return str(folder / spec)


def _relative(spec: str | Path | None, folder: Path) -> str | None:
    if spec is None or str(spec).startswith("hub:"):
        return None if spec is None else str(spec)
    try:
        return Path(os.path.relpath(spec, folder)).as_posix()
    except ValueError:  # Another drive.
        return str(Path(spec).resolve())
