"""Several element types for one query, as one LangChain runnable."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import pydantic
from langchain_core.documents import Document
from langchain_core.runnables import RunnableConfig, RunnableSerializable

from multiretriever.core.elements import element_type
from multiretriever.core.errors import ParameterError
from multiretriever.core.query import SearchOptions, check_k
from multiretriever.langchain.retrievers import SearchFields, to_document

GroundingInput: TypeAlias = str | dict[str, Any]
GroundingOutput: TypeAlias = dict[str, list[Document]]


class GroundingRunnable(SearchFields, RunnableSerializable[GroundingInput, GroundingOutput]):
    """Retrieves several element types for a query in one pass of the encoder; returns documents by type.

    The input is the query, or a mapping with ``query`` and any of ``k``, ``context``, ``where`` and ``mode``. What is given there
    takes the place of the arguments of the call, and those that of the runnable's own.

    Attributes:
        retriever: The retriever of core.
        k: Documents by element type, such as ``{"step": 15, "table": 5}``; or just the types, each with its default; None for
            all types of the index.
        context: What else is known of every query (see ``QueryContext``).
        where: Values that hits must have; types that cannot be filtered on a name are filtered on the others.
        mode: How to rank: ``dense``, ``lexical`` or ``hybrid``; None for the retriever's own.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    k: dict[str, int] | None = None

    @pydantic.field_validator("k", mode="before")
    @classmethod
    def _check_k(cls, value: Any) -> dict[str, int] | None:
        if value is None:
            return None
        if not isinstance(value, Iterable):
            raise ParameterError(f"k maps element types to numbers of documents, such as {{'step': 15}} (got {value!r})")
        counts = value if isinstance(value, Mapping) else dict.fromkeys([value] if isinstance(value, str) else value)
        kinds = {element_type(name): count for name, count in counts.items()}
        return {kind.name: check_k(count, kind.default_k) for kind, count in kinds.items()}

    def invoke(self, input: GroundingInput, config: RunnableConfig | None = None, **kwargs: Any) -> GroundingOutput:
        """Retrieves for one query.

        Args:
            input: The query, or a mapping that has it.
            config: LangChain's config.
            **kwargs: ``k``, ``context``, ``where``, ``mode``.

        Raises:
            MultiRetrieverError: See ``MultiRetriever.ground``.
        """
        return self._call_with_config(self._ground, input, config, **kwargs)

    async def ainvoke(self, input: GroundingInput, config: RunnableConfig | None = None, **kwargs: Any) -> GroundingOutput:
        """Does ``invoke`` in a thread, so that the event loop goes on."""
        return await self._acall_with_config(self._aground, input, config, **kwargs)

    def _ground(self, value: GroundingInput, **given: Any) -> GroundingOutput:
        query, k, options = self._read(value, given)
        found = self.retriever.ground(query, k, context=options.context, where=options.where, mode=options.mode)
        return {name: [to_document(hit) for hit in hits] for name, hits in found.items()}

    async def _aground(self, value: GroundingInput, **given: Any) -> GroundingOutput:
        return await asyncio.to_thread(self._ground, value, **given)

    def _read(self, value: Any, given: Mapping[str, Any]) -> tuple[Any, Any, SearchOptions]:
        """Returns the query, the hits by element type, and the other options."""
        query = value
        if isinstance(value, Mapping):
            if "query" not in value:
                raise ParameterError(f"the input is a query, or a mapping with the key 'query' (got the keys {list(value)})")
            query, given = value["query"], {**given, **{name: item for name, item in value.items() if name != "query"}}
        k = self.k if given.get("k") is None else given["k"]
        return query, k, self._options({name: item for name, item in given.items() if name != "k"})
