"""The tool selector as middleware of LangChain's agents. Needs langchain, which the rest of this package does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from langchain_core.messages import BaseMessage
from langchain_core.tools import BaseTool

from multiretriever.core.errors import MissingDependencyError

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
except ImportError as error:
    raise MissingDependencyError(
        'the middleware for agents needs langchain; install it with: pip install "multiretriever[llm]"'
    ) from error


class Selector(Protocol):
    """What is asked of a ``ToolSelector``."""

    tools: tuple[BaseTool, ...]

    @property
    def names(self) -> frozenset[str]:
        """Names of all tools."""

    def invoke(self, input: Sequence[BaseMessage]) -> list[BaseTool]:
        """Returns the tools to offer in a conversation."""

    async def ainvoke(self, input: Sequence[BaseMessage]) -> list[BaseTool]:
        """Does ``invoke`` without blocking the event loop."""


class ToolSelectorMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """Offers the chat model at every turn only the tools that the selector retrieves for the conversation.

    All tools of the selector can be called; those that the selector does not know, among them the provider's own, stay.

    Attributes:
        selector: The selector.
        tools: Its tools, registered with the agent.
    """

    def __init__(self, selector: Selector) -> None:
        """Makes middleware of a selector."""
        super().__init__()
        self.selector = selector
        self.tools = selector.tools

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Calls the model with the selected tools.

        Raises:
            QueryError: No message has text.
        """
        return handler(self._narrowed(request, self.selector.invoke(request.messages)))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """Does ``wrap_model_call`` without blocking the event loop."""
        return await handler(self._narrowed(request, await self.selector.ainvoke(request.messages)))

    def _narrowed(self, request: ModelRequest[Any], selected: Sequence[BaseTool]) -> ModelRequest[Any]:
        # Of the request come the tools: middleware before this one may have taken some away.
        by_name = {tool.name: tool for tool in request.tools if isinstance(tool, BaseTool)}
        offered = [by_name[tool.name] for tool in selected if tool.name in by_name]
        others = [tool for tool in request.tools if isinstance(tool, dict) or tool.name not in self.selector.names]
        return request.override(tools=[*offered, *others])
