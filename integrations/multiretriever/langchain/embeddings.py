"""Embeddings both ways: an encoder as LangChain embeddings, for any vector store, and any embeddings as an encoder.

The second is how hosted models and embedding servers are reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.runnables.config import ContextThreadPoolExecutor

from multiretriever.core.elements import element_type as type_of
from multiretriever.core.encoders import EncoderSpec, Vectors, load_encoder, make_fingerprint, unit_vectors
from multiretriever.core.errors import EncoderError, ParameterError
from multiretriever.core.instructions import InstructionSet
from multiretriever.core.prompts import fit_prompt, make_prompt
from multiretriever.core.query import Context, check_context


class InstructionEmbeddings(Embeddings):
    """Embeddings that put the instruction of an element type before queries, and nothing before documents.

    The vectors have unit length. LangChain's ``Chroma`` compares by l2 unless it is given ``cosine``; both rank the same.

    Attributes:
        encoder: The encoder.
        element_type: Name of the element type that is looked for.
        context: What else is known of every query.
    """

    def __init__(self, encoder: EncoderSpec = None, *, element_type: str, context: Context = None) -> None:
        """Makes embeddings.

        Args:
            encoder: The encoder, or what ``load_encoder`` takes; None for the shipped one.
            element_type: Name of the element type that is looked for, such as ``step``.
            context: What else is known (see ``QueryContext``).

        Raises:
            ElementTypeError: The type is unknown.
            ParameterError: The context is not valid.
            EncoderError: The encoder cannot be loaded.
        """
        self.element_type = type_of(element_type).name
        self.context = check_context(context)
        self.encoder = load_encoder(encoder)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embeds what is searched, without an instruction.

        Raises:
            EncoderError: The encoder failed.
        """
        return cast(list[list[float]], self.encoder.encode_documents(list(texts)).tolist())

    def embed_query(self, text: str) -> list[float]:
        """Embeds what is searched with, the instruction before it.

        Raises:
            QueryError: The text is empty or too long.
            EncoderError: The encoder failed.
        """
        prompt = make_prompt(text, self.element_type, self.context, instructions=self.encoder.instructions)
        return cast(list[float], self.encoder.encode_queries([fit_prompt(self.encoder, prompt)])[0].tolist())

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Does ``embed_documents`` in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """Does ``embed_query`` in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self.embed_query, text)


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
                dimension. Give one where another model can be behind the same name.
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
            EncoderError: The embeddings failed, or returned something else than a vector for each text.
        """
        prompted = [self._document_prompt + text for text in texts]
        return self._embed(lambda: self.embeddings.embed_documents(prompted), len(prompted), self.dimension)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with. Returns [len(texts), dimension].

        Raises:
            EncoderError: The embeddings failed, or returned something else than a vector for each text.
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
