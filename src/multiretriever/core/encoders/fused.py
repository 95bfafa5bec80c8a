"""Two encoders as one: the frozen base and the tuned one, their vectors added (REFINE, arXiv 2410.12890, model fusion).

A tuned encoder knows its domain and has forgotten some of everything else; the base has forgotten nothing. The fused vector is
``(1 - share) * base + share * tuned`` of unit vectors, scaled to length 1. It has the dimension of one of them, so that an index
is no larger, and every text costs two encodings.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
from pydantic import ConfigDict

from multiretriever.core.encoders.base import Encoder, Vectors, Windowed, make_fingerprint, unit_vectors
from multiretriever.core.errors import EncoderError, EncoderNotFoundError, ParameterError
from multiretriever.core.instructions import InstructionSet
from multiretriever.core.query import QueryContext, check_context
from multiretriever.core.registry import element_types
from multiretriever.core.yaml_io import parse_yaml

SHARE = 0.35
"""The tuned encoder's share in REFINE."""
FUSED_FILE = "fused.json"
_LONG_KEYS = ("flow", "requirement")


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


class FusedEncoder:
    """Encodes with two encoders and adds their vectors. As safe between threads as the two are.

    Each encoder reads queries as it would alone. Where the tuned one was trained with instructions and the base was not, the base
    is given the bare query: instructions that it does not know would only draw its vectors towards each other. Documents are the
    same for both, each with its own document prompt.
    """

    def __init__(self, base: Encoder, tuned: Encoder, share: float = SHARE, *, name: str | None = None) -> None:
        """Fuses two encoders.

        Args:
            base: The encoder as it was before tuning.
            tuned: The tuned one. Its instructions and its window are those of the fused one.
            share: The tuned one's share: 0 for the base alone, 1 for the tuned one alone.
            name: Name for people; None makes one of theirs.

        Raises:
            ParameterError: The share is not between 0 and 1.
            EncoderError: The vectors of the two have different lengths.
        """
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ParameterError(f"the share of the tuned encoder is a number from 0 to 1 (got {share!r})")
        if base.dimension != tuned.dimension:
            raise EncoderError(
                f"vectors of {base.dimension} ({base.name!r}) and of {tuned.dimension} numbers ({tuned.name!r}) cannot be added; "
                "the tuned encoder must have been made of the base"
            )
        self.base, self.tuned, self.share = base, tuned, float(share)
        self.name = name or f"{base.name}+{tuned.name}@{share:g}"
        self.dimension = base.dimension
        facts = {"kind": "fused", "base": base.fingerprint, "tuned": tuned.fingerprint, "share": self.share}
        self.fingerprint = make_fingerprint(facts)

    @classmethod
    def from_path(cls, folder: str | Path) -> FusedEncoder:
        """Reads a folder with ``fused.json``.

        Raises:
            EncoderNotFoundError: The file is not there, or one of the two encoders is not.
            EncoderError: The file is not valid, or an encoder cannot be loaded.
        """
        from multiretriever.core.encoders.loading import load_encoder  # which knows this class

        folder = Path(folder)
        path = folder / FUSED_FILE
        try:
            config = FusedConfig.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise EncoderNotFoundError(f"{path} is missing; the folder of a fused encoder holds it") from error
        except (OSError, ValueError) as error:
            raise EncoderError(f"{path} cannot be read as the description of a fused encoder: {error}") from error
        base, tuned = (load_encoder(_resolved(spec, folder)) for spec in (config.base, config.tuned))
        return cls(base, tuned, config.share, name=folder.resolve().name)

    @property
    def instructions(self) -> InstructionSet | None:
        """Instructions of the tuned encoder; without any, those of the base."""
        return self.tuned.instructions or self.base.instructions

    @property
    def window(self) -> int:
        """Tokens of text that the tuned encoder reads."""
        return self._windowed.window

    def token_starts(self, text: str) -> list[int]:
        """Returns the offset in ``text`` of each of the tuned encoder's tokens."""
        return self._windowed.token_starts(text)

    @property
    def _windowed(self) -> Windowed:
        if not isinstance(self.tuned, Windowed):
            # What isinstance(encoder, Windowed) asks for: an encoder that cannot tell its window has no such attribute.
            raise AttributeError(f"{self.tuned.name!r} cannot tell its window")
        return self.tuned

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched. Returns float32 [len(texts), dimension], each row of length 1."""
        return self._fuse(self.base.encode_documents(texts), self.tuned.encode_documents(texts))

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with, instructions included. Returns float32 [len(texts), dimension], each row of length 1."""
        known = self.instructions
        by_base = texts if self.base.instructions else bare_queries(texts, known)
        by_tuned = texts if self.tuned.instructions else bare_queries(texts, known)
        return self._fuse(self.base.encode_queries(by_base), self.tuned.encode_queries(by_tuned))

    def _fuse(self, base: Vectors, tuned: Vectors) -> Vectors:
        mixed = (1 - self.share) * base + self.share * tuned
        return unit_vectors(mixed, len(base), self.dimension, self.name)


def save_fused(folder: str | Path, base: str | Path | None, tuned: str | Path, share: float = SHARE) -> Path:
    """Writes ``fused.json``, so that ``load_encoder(folder)`` gives the fused encoder. The two encoders stay where they are.

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


def bare_queries(texts: Sequence[str], instructions: InstructionSet | None) -> list[str]:
    """Returns queries without their instructions, as ``make_prompt`` gives them to an encoder that was trained without any.

    A text that does not start with one of the instructions is returned as it is.
    """
    own = [template for kind in element_types() for template in kind.instructions]
    known = {template.instruction for template in [*(instructions.templates if instructions else ()), *own]}
    return [_bare(text, known) for text in texts]


def _bare(text: str, known: set[str]) -> str:
    instruction, _, body = text.partition("\n")
    if instruction not in known or not body:
        return text
    documents = parse_yaml(body, "query")
    lines: Any = documents[0].value if isinstance(documents, list) and documents else None
    if not isinstance(lines, dict) or not lines:
        return body  # What was cut to fit the window is no YAML any more.
    *context, query = lines.items()
    short = {key: str(value) for key, value in context if key not in _LONG_KEYS and isinstance(value, str)}
    try:
        words = check_context(short).words
    except ParameterError:
        words = QueryContext().words
    return "\n".join([*words, str(query[1])])


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
