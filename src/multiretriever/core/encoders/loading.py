"""Finding the encoder that a name or a path means."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from multiretriever.core.bundled import DEFAULT_MODEL
from multiretriever.core.encoders.base import Encoder
from multiretriever.core.encoders.fused import FUSED_FILE, FusedEncoder
from multiretriever.core.encoders.onnx import CONFIG_FILE, OnnxEncoder
from multiretriever.core.encoders.truncated import TruncatedEncoder
from multiretriever.core.errors import EncoderError, EncoderNotFoundError

HUB_PREFIX = "hub:"


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
        return FusedEncoder.from_path(folder)
    return SentenceTransformerEncoder(folder)
