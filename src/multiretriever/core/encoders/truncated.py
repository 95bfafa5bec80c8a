"""The first numbers of an encoder's vectors: smaller indexes and faster search (Matryoshka, arXiv 2205.13147)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from multiretriever.core.encoders.base import Encoder, Vectors, Windowed, make_fingerprint, unit_vectors
from multiretriever.core.errors import ParameterError
from multiretriever.core.instructions import InstructionSet


class TruncatedEncoder:
    """Keeps the first numbers of each vector and scales them to length 1.

    An encoder that was trained for it (``matryoshka`` in a recipe) loses little; any other loses more. ``load_encoder`` makes one
    of ``PATH#DIMENSION``.
    """

    def __init__(self, encoder: Encoder, dimension: int) -> None:
        """Truncates an encoder.

        Raises:
            ParameterError: The dimension is not from 1 to that of the encoder.
        """
        if not 1 <= dimension <= encoder.dimension:
            raise ParameterError(
                f"{encoder.name!r} has vectors of {encoder.dimension} numbers; its first {dimension} cannot be taken"
            )
        self._encoder = encoder
        self.name = f"{encoder.name}#{dimension}"
        self.dimension = dimension
        self.fingerprint = make_fingerprint({"kind": "truncated", "of": encoder.fingerprint, "dimension": dimension})

    @property
    def instructions(self) -> InstructionSet | None:
        """Those of the encoder."""
        return self._encoder.instructions

    @property
    def window(self) -> int:
        """Tokens that the encoder reads; without end where it cannot tell."""
        return self._encoder.window if isinstance(self._encoder, Windowed) else sys.maxsize

    def token_starts(self, text: str) -> list[int]:
        """Returns the offset in ``text`` of each of its tokens; none where the encoder cannot tell."""
        return self._encoder.token_starts(text) if isinstance(self._encoder, Windowed) else []

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched. Returns [len(texts), dimension]."""
        return self._cut(self._encoder.encode_documents(texts))

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with. Returns [len(texts), dimension]."""
        return self._cut(self._encoder.encode_queries(texts))

    def _cut(self, vectors: Vectors) -> Vectors:
        return unit_vectors(vectors[:, : self.dimension], len(vectors), self.dimension, self.name)
