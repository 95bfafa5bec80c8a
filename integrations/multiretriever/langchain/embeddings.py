"""An encoder as LangChain embeddings, so that any vector store of LangChain can use it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from langchain_core.embeddings import Embeddings

from multiretriever.core.encoders import Encoder, fit_prompt, load_encoder
from multiretriever.core.prompts import make_prompt
from multiretriever.core.query import check_context
from multiretriever.core.registry import element_type as type_of
from multiretriever.core.retriever import Context


class InstructionEmbeddings(Embeddings):
    """Embeddings that put the instruction of an element type before queries, and nothing before documents.

    The vectors have unit length. LangChain's ``Chroma`` compares by l2 unless it is told ``cosine``; both rank the same.

    Attributes:
        encoder: The encoder.
        element_type: Name of the element type that is looked for.
        context: What else is known of every query.
    """

    def __init__(self, encoder: Encoder | str | Path | None = None, *, element_type: str, context: Context = None) -> None:
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
