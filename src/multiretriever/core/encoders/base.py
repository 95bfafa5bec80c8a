"""What an encoder is: text to unit vectors, one for all element types."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from multiretriever.core.errors import EncoderError
from multiretriever.core.instructions import InstructionSet

Vectors: TypeAlias = NDArray[np.float32]


@runtime_checkable
class Encoder(Protocol):
    """Turns text into vectors of unit length, so that their dot product is their cosine.

    Attributes:
        name: Name for people, such as ``multiretriever-minilm-l6``.
        dimension: Length of a vector.
        fingerprint: Changes with everything that changes a document's vector: weights, document prompt, pooling, normalisation,
            longest input. An index can only be read with the fingerprint that it was built with.
        instructions: Instructions that it was trained with; None for an encoder that is best given the bare query.
    """

    @property
    def name(self) -> str:
        """Name for people."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides a document's vector."""
        ...

    @property
    def instructions(self) -> InstructionSet | None:
        """Instructions for queries, if any."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched. Returns [len(texts), dimension]."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with. Returns [len(texts), dimension].

        A text is a ``Prompt``, which is a string with its instruction before it and knows its parts; a plain string is encoded as
        it is.
        """
        ...


@runtime_checkable
class Windowed(Protocol):
    """An encoder that reads at most so many tokens and knows where they are."""

    @property
    def name(self) -> str:
        """Name for people."""
        ...

    @property
    def window(self) -> int:
        """Tokens of text that are read; special tokens not counted."""
        ...

    def token_starts(self, text: str) -> list[int]:
        """Returns the offset in ``text`` of each of its tokens, special tokens left out."""
        ...


EncoderSpec: TypeAlias = Encoder | str | Path | None
"""How an encoder can be given: the encoder, what ``load_encoder`` takes, or None for the shipped one."""


def make_fingerprint(facts: Mapping[str, Any]) -> str:
    """Returns a short digest of what decides an encoder's vectors."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def unit_vectors(values: Any, count: int, dimension: int | None, name: str) -> Vectors:
    """Checks what an encoder returned and scales each row to length 1.

    Raises:
        EncoderError: The shape is not [count, dimension], or a value is not finite, or a row is zero.
    """
    try:
        vectors = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise EncoderError(f"encoder {name!r} returned something that is not an array of numbers: {error}") from error
    if count == 0 and dimension is not None:
        return np.empty((0, dimension), dtype=np.float32)
    if vectors.ndim != 2 or vectors.shape[0] != count or (dimension is not None and vectors.shape[1] != dimension):
        raise EncoderError(
            f"encoder {name!r} returned the shape {vectors.shape} for {count} texts; expected {(count, dimension)}"
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths)) or not np.all(lengths > 0):
        bad = int(np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0))[0])
        raise EncoderError(f"encoder {name!r} returned a zero or non-finite vector for text {bad} of {count}")
    unit: Vectors = vectors / lengths
    return unit
