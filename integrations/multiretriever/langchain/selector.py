"""Choosing which of thousands of tools an agent is offered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.tools import BaseTool

from multiretriever.core.encoders import Encoder
from multiretriever.core.errors import QueryError
from multiretriever.core.hits import Hit
from multiretriever.core.index import Index
from multiretriever.core.query import MAX_QUERY, Mode, check_k, check_mode
from multiretriever.core.retriever import DEFAULT_MODE, MultiRetriever
from multiretriever.langchain.tools import catalog_from_tools

if TYPE_CHECKING:
    from multiretriever.langchain.middleware import ToolSelectorMiddleware

ToolQuery: TypeAlias = str | Sequence[BaseMessage]


class ToolSelector(Runnable[ToolQuery, list[BaseTool]]):
    """Retrieves tools: for a text, or for the messages of a conversation, those to offer to the chat model.

    Of messages the newest one of a human counts. The index is in memory and is built once.

    Attributes:
        tools: All tools.
        k: How many are offered.
        retriever: The retriever of core; its elements are the tools as steps.
    """

    def __init__(
        self,
        tools: Sequence[BaseTool],
        *,
        encoder: Encoder | str | Path | None = None,
        k: int = 10,
        mode: Mode = DEFAULT_MODE,
    ) -> None:
        """Indexes the tools.

        Args:
            tools: The tools; no name may stand twice.
            encoder: The encoder, or what ``load_encoder`` takes; None for the shipped one.
            k: Tools to offer.
            mode: How to rank: ``dense``, ``lexical`` or ``hybrid``.

        Raises:
            CatalogError, ParameterError: See ``catalog_from_tools``; or ``k`` or ``mode`` is not valid.
            EncoderError: The encoder cannot be loaded, or failed.
        """
        # Before the work of indexing, not after it.
        self.k, checked_mode = check_k(k, 10), check_mode(mode)
        self.tools = tuple(tools)
        self.retriever = MultiRetriever(Index.from_catalog(catalog_from_tools(self.tools), encoder=encoder), mode=checked_mode)
        self._by_name = {tool.name: tool for tool in self.tools}

    @property
    def names(self) -> frozenset[str]:
        """Names of all tools."""
        return frozenset(self._by_name)

    def select(self, query: ToolQuery) -> list[BaseTool]:
        """Returns the tools to offer, the best first.

        Raises:
            QueryError: There is no text to go by.
        """
        return self._chosen(self.retriever.retrieve(query_of(query), "step", k=self.k))

    async def aselect(self, query: ToolQuery) -> list[BaseTool]:
        """Does ``select`` in a thread, so that the event loop goes on."""
        return self._chosen(await self.retriever.aretrieve(query_of(query), "step", k=self.k))

    def _chosen(self, hits: Sequence[Hit]) -> list[BaseTool]:
        return [self._by_name[hit.element.name] for hit in hits]

    def invoke(self, input: ToolQuery, config: RunnableConfig | None = None, **kwargs: Any) -> list[BaseTool]:
        """Does ``select`` as a run that callbacks see."""
        return self._call_with_config(self.select, input, config, **kwargs)

    async def ainvoke(self, input: ToolQuery, config: RunnableConfig | None = None, **kwargs: Any) -> list[BaseTool]:
        """Does ``aselect`` as a run that callbacks see."""
        return await self._acall_with_config(self.aselect, input, config, **kwargs)

    def as_middleware(self) -> ToolSelectorMiddleware:
        """Returns middleware for ``langchain.agents.create_agent`` that offers only the selected tools at every turn.

        It brings the tools with it, so that ``create_agent(model, middleware=[selector.as_middleware()])`` is enough. Tools that
        the agent has beside them are always offered.

        Raises:
            MissingDependencyError: langchain is not installed.
        """
        from multiretriever.langchain.middleware import ToolSelectorMiddleware  # langchain is optional

        return ToolSelectorMiddleware(self)

    def close(self) -> None:
        """Closes the index."""
        self.retriever.close()


def query_of(value: ToolQuery) -> str:
    """Returns what tools are looked for by: the text, or that of the newest human message, else of the newest that has any.

    Raises:
        QueryError: No message has text.
    """
    if isinstance(value, str):
        return value
    messages = [message for message in value if message.text.strip()]
    if not messages:
        raise QueryError("no message has text, so there is nothing to select tools by")
    human = [message for message in messages if isinstance(message, HumanMessage)]
    # People paste whole documents into a conversation, and what they want stands mostly at the end.
    return str((human or messages)[-1].text)[-MAX_QUERY:]
