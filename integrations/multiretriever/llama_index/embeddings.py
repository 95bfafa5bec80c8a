"""An encoder of the core as a LlamaIndex embedding model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr

from multiretriever.core.encoders import Encoder, Vectors, fit_prompt, load_encoder
from multiretriever.core.errors import EncoderMismatchError
from multiretriever.core.prompts import make_prompt
from multiretriever.core.query import QueryContext, check_context
from multiretriever.core.registry import element_type as registered_type

# The encoder makes batches of its own; this is the largest that LlamaIndex hands over in one call.
_BATCH = 2048
_PICKLED = ("element_type", "context", "instruction", "fingerprint", "model_name", "embed_batch_size", "num_workers")


class InstructionEmbeddings(BaseEmbedding):
    """Embeds texts as they are, and queries below the instruction of an element type, for LlamaIndex's own indexes and pipelines.

    The fields are what an ingestion cache tells two of them apart by.

    Attributes:
        element_type: Element type that queries look for.
        context: What is known beside the query's text; it goes into every query.
        instruction: The sentence put before queries; empty for an encoder that was trained without.
        fingerprint: Fingerprint of the encoder.
    """

    element_type: str = Field(description="Element type that queries look for.")
    context: dict[str, Any] = Field(description="What is known beside the query's text.")
    instruction: str = Field(description="The sentence put before queries.")
    fingerprint: str = Field(description="Fingerprint of the encoder.")
    _encoder: Encoder = PrivateAttr()
    _source: Encoder | str | Path | None = PrivateAttr()

    def __init__(
        self,
        encoder: Encoder | str | Path | None = None,
        *,
        element_type: str,
        context: QueryContext | Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Makes an embedding model.

        Args:
            encoder: The encoder, or what ``load_encoder`` takes; None for the shipped one.
            element_type: Name of the element type that queries look for, such as ``step``.
            context: What else is known (see ``QueryContext``).
            options: ``embed_batch_size``, ``callback_manager`` and others of ``BaseEmbedding``.

        Raises:
            EncoderError: The encoder cannot be loaded.
            EncoderMismatchError: The options are those of ``to_dict()`` and were made with another encoder.
            ElementTypeError: The type is unknown.
            ParameterError: The context is not valid.
        """
        loaded, kind = load_encoder(encoder), registered_type(element_type).name
        checked = check_context(context)
        derived = {
            "fingerprint": loaded.fingerprint,
            "model_name": loaded.name,
            "instruction": make_prompt("x", kind, checked, instructions=loaded.instructions).instruction,
        }
        for key, value in derived.items():
            if options.setdefault(key, value) != value:
                raise EncoderMismatchError(f"the {key} is due to be {options[key]!r}, and that of the encoder is {value!r}")
        values = checked.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        super().__init__(element_type=kind, context=values, **{"embed_batch_size": _BATCH, **options})
        self._encoder = loaded
        self._source = encoder

    @classmethod
    def class_name(cls) -> str:
        """Name in ``to_dict()``."""
        return "InstructionEmbeddings"

    def __reduce__(self) -> tuple[Any, ...]:
        # BaseComponent would leave out an encoder that cannot be pickled, and load the shipped one in its place.
        values = {name: getattr(self, name) for name in _PICKLED}
        return _restore, (type(self), self._source, values)

    def get_query_embedding(self, query: str) -> list[float]:
        """Embeds a query, with the instruction. Queries are not looked up in ``embeddings_cache``, nor put there.

        Raises:
            QueryError: The query is empty, not text, or too long.
            EncoderError: The encoder failed.
        """
        return super(InstructionEmbeddings, self._uncached()).get_query_embedding(query)

    async def aget_query_embedding(self, query: str) -> list[float]:
        """Does ``get_query_embedding`` without blocking the event loop."""
        return await super(InstructionEmbeddings, self._uncached()).aget_query_embedding(query)

    def _uncached(self) -> InstructionEmbeddings:
        # That cache keys on the bare text, under which the vector of a document may stand.
        return self if self.embeddings_cache is None else self.model_copy(update={"embeddings_cache": None})

    def _get_query_embedding(self, query: str) -> list[float]:
        prompt = make_prompt(query, self.element_type, self.context, instructions=self._encoder.instructions)
        return _lists(self._encoder.encode_queries([fit_prompt(self._encoder, prompt)]))[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return _lists(self._encoder.encode_documents(texts))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


def _restore(cls: type[InstructionEmbeddings], source: Encoder | str | Path | None, values: dict[str, Any]) -> Any:
    return cls(source, **values)


def _lists(vectors: Vectors) -> list[list[float]]:
    rows: list[list[float]] = vectors.tolist()
    return rows
