"""Encoders made of encoders: two fused into one, and one whose vectors are cut.

Fusing adds the vectors of the frozen base and of the tuned encoder (REFINE, arXiv 2410.12890, model fusion). A tuned encoder
knows its domain and has forgotten some of everything else; the base has forgotten nothing. The fused vector is
``(1 - share) * base + share * tuned`` of unit vectors, scaled to length 1. It has the dimension of one of them, so that an index
is no larger, and every text costs two encodings. Cutting keeps the first numbers of a vector: smaller indexes and faster search
(Matryoshka, arXiv 2205.13147).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from multiretriever.core.encoders.base import Encoder, Vectors, Windowed, make_fingerprint, unit_vectors
from multiretriever.core.errors import EncoderError, ParameterError
from multiretriever.core.instructions import InstructionSet, Prompt

SHARE = 0.35
"""The tuned encoder's share in REFINE."""


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
            # What isinstance(encoder, Windowed) asks for: an encoder that does not know its window has no such attribute.
            raise AttributeError(f"{self.tuned.name!r} does not know its window")
        return self.tuned

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched. Returns float32 [len(texts), dimension], each row of length 1."""
        return self._fuse(self.base.encode_documents(texts), self.tuned.encode_documents(texts))

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with, instructions included. Returns float32 [len(texts), dimension], each row of length 1."""
        base, tuned = (one.encode_queries(texts if one.instructions else _bare(texts)) for one in (self.base, self.tuned))
        return self._fuse(base, tuned)

    def _fuse(self, base: Vectors, tuned: Vectors) -> Vectors:
        mixed = (1 - self.share) * base + self.share * tuned
        return unit_vectors(mixed, len(base), self.dimension, self.name)


def _bare(texts: Sequence[str]) -> list[str]:
    """Returns queries as an encoder reads them that was trained without instructions."""
    return [text.bare if isinstance(text, Prompt) else text for text in texts]


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
        """Tokens that the encoder reads; without end where it does not know."""
        return self._encoder.window if isinstance(self._encoder, Windowed) else sys.maxsize

    def token_starts(self, text: str) -> list[int]:
        """Returns the offset in ``text`` of each of its tokens; none where the encoder does not know."""
        return self._encoder.token_starts(text) if isinstance(self._encoder, Windowed) else []

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched. Returns [len(texts), dimension]."""
        return self._cut(self._encoder.encode_documents(texts))

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with. Returns [len(texts), dimension]."""
        return self._cut(self._encoder.encode_queries(texts))

    def _cut(self, vectors: Vectors) -> Vectors:
        return unit_vectors(vectors[:, : self.dimension], len(vectors), self.dimension, self.name)
