"""Steps of a catalog as LangChain tools."""

from __future__ import annotations

from typing import Any

from langchain_core.tools import BaseTool, ToolException
from pydantic import ConfigDict

from multiretriever.core.catalog import Catalog
from multiretriever.core.tool_calls import AsyncCall, Call, Outcome, Toolbox, ToolCall


class CatalogTool(BaseTool):
    """A step as a tool. Arguments that do not fit are refused before anything runs, in words for the chat model.

    Whether it was offered it cannot know; an agent that is to be held to what it was offered runs its calls with ``Toolbox.run``.

    Attributes:
        toolbox: What runs it.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    toolbox: Toolbox
    handle_tool_error: Any = True

    # No other names in these two: the arguments of an API may be called config, self or anything else.
    def _run(self, /, *args: Any, **arguments: Any) -> str:
        return _text(self.toolbox.run([self._call(args, arguments)], [self.name]))

    async def _arun(self, /, *args: Any, **arguments: Any) -> str:
        return _text(await self.toolbox.arun([self._call(args, arguments)], [self.name]))

    def _call(self, args: tuple[Any, ...], arguments: dict[str, Any]) -> ToolCall:
        return ToolCall("", self.name, args[0] if args else arguments)


def _text(outcomes: list[Outcome]) -> str:
    (outcome,) = outcomes
    if outcome.fault is not None:
        raise ToolException(outcome.text)
    return outcome.text


def tools_from_catalog(catalog: Catalog, call: Call, *, acall: AsyncCall | None = None) -> list[CatalogTool]:
    """Makes a tool of every step of a catalog, such as one of OpenAPI documents.

    Args:
        catalog: The catalog.
        call: Runs a step with arguments that were checked, and returns what JSON can hold.
        acall: Does so without blocking the event loop; None for ``call`` in a thread.

    Raises:
        CatalogError: The catalog has no step.
    """
    return tools_from_toolbox(Toolbox(catalog, call, acall=acall))


def tools_from_toolbox(toolbox: Toolbox) -> list[CatalogTool]:
    """Makes the tools of a toolbox, in its order."""
    return [
        CatalogTool(
            name=schema.name,
            description=schema.description,
            args_schema=dict(schema.parameters),
            metadata={"step": schema.step.id, "title": schema.step.label},
            toolbox=toolbox,
        )
        for schema in toolbox.schemas.values()
    ]
