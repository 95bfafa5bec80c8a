"""Any LangChain embeddings as an encoder: that is how hosted models and embedding servers are reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.runnables.config import ContextThreadPoolExecutor

from multiretriever.core.encoders import Vectors, make_fingerprint, unit_vectors
from multiretriever.core.errors import EncoderError, ParameterError
from multiretriever.core.instructions import InstructionSet

# What LangChain's integrations call the attributes that tell one model from another.
_MODEL_NAMES = ("model", "model_name", "model_id", "repo_id", "deployment", "azure_deployment", "deployment_name")
_MODEL_SETTINGS = ("revision", "dimensions", "output_dimensionality", "task_type", "input_type", "size")
_PROBE = "dimension"


class LangChainEncoder:
    """Makes LangChain embeddings an encoder of this package.

    Attributes:
        embeddings: The embeddings.
        name: Name for people.
        instructions: Instructions put before queries; None for a model that is best given the bare query.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        *,
        name: str | None = None,
        instructions: InstructionSet | None = None,
        document_prompt: str = "",
        fingerprint: str | None = None,
        concurrency: int = 1,
    ) -> None:
        """Makes an encoder. The model is not asked before the first use.

        Args:
            embeddings: The embeddings.
            name: Name for people; None for that of the model.
            instructions: Instructions put before queries.
            document_prompt: Put before every document, for models that want it.
            fingerprint: Digest of all that decides a document's vector; None for one made of the class, its model and the
                dimension. Give one where another model can stand behind the same name.
            concurrency: Queries embedded at a time, since LangChain embeds them one by one; more than 1 for hosted models.

        Raises:
            ParameterError: ``embeddings`` is none, or ``concurrency`` is not a whole number from 1.
        """
        if not isinstance(embeddings, Embeddings):
            raise ParameterError(f"embeddings is a LangChain Embeddings object (got {type(embeddings).__name__})")
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
            raise ParameterError(f"concurrency is a whole number from 1 (got {concurrency!r})")
        self.embeddings = embeddings
        self.name = name or str(next(iter(_attributes(embeddings, _MODEL_NAMES).values()), type(embeddings).__name__))
        self.instructions = instructions
        self._document_prompt = document_prompt
        self._fingerprint = fingerprint
        self._concurrency = concurrency

    @cached_property
    def dimension(self) -> int:
        """Length of a vector, found by embedding one word.

        Raises:
            EncoderError: The embeddings failed.
        """
        vectors = self._embed(lambda: self.embeddings.embed_documents([_PROBE]), 1, None)
        return int(vectors.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that decides a document's vector, as far as the embeddings show it.

        Raises:
            EncoderError: The embeddings failed.
        """
        if self._fingerprint is not None:
            return self._fingerprint
        kind = type(self.embeddings)
        facts = {"class": f"{kind.__module__}.{kind.__qualname__}", "document_prompt": self._document_prompt}
        settings = _attributes(self.embeddings, (*_MODEL_NAMES, *_MODEL_SETTINGS))
        return make_fingerprint({**facts, **settings, "dimension": self.dimension})

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched. Returns [len(texts), dimension].

        Raises:
            EncoderError: The embeddings failed, or gave something else than a vector for each text.
        """
        prompted = [self._document_prompt + text for text in texts]
        return self._embed(lambda: self.embeddings.embed_documents(prompted), len(prompted), self.dimension)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with. Returns [len(texts), dimension].

        Raises:
            EncoderError: The embeddings failed, or gave something else than a vector for each text.
        """
        return self._embed(lambda: self._embed_queries(texts), len(texts), self.dimension)

    def _embed_queries(self, texts: Sequence[str]) -> list[list[float]]:
        if self._concurrency == 1 or len(texts) == 1:
            return [self.embeddings.embed_query(text) for text in texts]
        with ContextThreadPoolExecutor(max_workers=min(self._concurrency, len(texts))) as executor:
            return list(executor.map(self.embeddings.embed_query, texts))

    def _embed(self, call: Callable[[], list[list[float]]], count: int, dimension: int | None) -> Vectors:
        if count == 0:
            return np.empty((0, dimension or 0), dtype=np.float32)
        try:
            values = call()
        except Exception as error:  # every provider has classes of its own
            raise EncoderError(
                f"the embeddings {self.name!r} failed on {count} texts: {type(error).__name__}: {error}"
            ) from error
        return unit_vectors(values, count, dimension, self.name)


def _attributes(embeddings: Embeddings, names: Sequence[str]) -> dict[str, Any]:
    values = {name: getattr(embeddings, name, None) for name in names}
    return {name: value for name, value in values.items() if isinstance(value, str | int) and value != ""}
