"""A small deterministic encoder for tests in which the encoder is not the subject."""

import hashlib
import re

import numpy as np

from multiretriever.core.encoders import make_fingerprint, unit_vectors


class WordEncoder:
    """Bag of hashed words: texts that share words are near. Counts what it encodes."""

    def __init__(self, name="words", dimension=64, instructions=None):
        self.name = name
        self.dimension = dimension
        self.instructions = instructions
        self.fingerprint = make_fingerprint({"name": name, "dimension": dimension})
        self.documents = 0
        self.query_batches = []

    def _encode(self, texts):
        vectors = np.full((len(texts), self.dimension), 1e-3, dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                digest = hashlib.md5(word.encode()).digest()
                vectors[row, int.from_bytes(digest[:4], "big") % self.dimension] += 1.0
        return unit_vectors(vectors, len(texts), self.dimension, self.name)

    def encode_documents(self, texts):
        self.documents += len(texts)
        return self._encode(texts)

    def encode_queries(self, texts):
        self.query_batches.append(list(texts))
        return self._encode(texts)


class FixedEncoder:
    """Gives chosen texts chosen vectors, and all others ``other``: for scores that can be computed by hand."""

    name = "fixed"
    instructions = None

    def __init__(self, vectors, other=(0.0, 1.0)):
        self.dimension = len(other)
        self.fingerprint = make_fingerprint({"fixed": sorted(vectors), "other": list(other)})
        self._vectors = vectors
        self._other = other

    def _encode(self, texts):
        values = np.array([self._vectors.get(text, self._other) for text in texts], dtype=np.float32)
        return unit_vectors(values, len(texts), self.dimension, self.name)

    encode_documents = encode_queries = _encode


class WindowEncoder(WordEncoder):
    """Reads at most ``window`` words; its tokens are the words."""

    def __init__(self, window, **options):
        super().__init__("windowed", **options)
        self.window = window

    def token_starts(self, text):
        return [match.start() for match in re.finditer(r"\S+", text)]
