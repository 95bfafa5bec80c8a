"""Steps of a catalog as LlamaIndex tools."""

from __future__ import annotations

from typing import Any

from llama_index.core.tools import AsyncBaseTool, ToolMetadata, ToolOutput
from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from multiretriever.core.catalog import Catalog
from multiretriever.core.tool_calls import AsyncCall, Call, Outcome, Toolbox, ToolCall
from multiretriever.core.tool_schemas import ToolSchema


class CatalogTool(AsyncBaseTool):
    """A step as a tool. Arguments that do not fit are refused before anything runs, in words for the LLM.

    Whether it was offered it cannot know; an agent that is to be held to what it was offered runs its calls with ``Toolbox.run``.

    Attributes:
        toolbox: What runs it.
    """

    def __init__(self, toolbox: Toolbox, schema: ToolSchema) -> None:
        """Makes a tool of a toolbox's schema."""
        self.toolbox = toolbox
        self._metadata = ToolMetadata(name=schema.name, description=schema.description, fn_schema=_model(schema))

    @property
    def metadata(self) -> ToolMetadata:
        """What an LLM is shown."""
        return self._metadata

    # No other names in these two: the arguments of an API may be called input, self or anything else.
    def call(self, /, *args: Any, **arguments: Any) -> ToolOutput:
        """Runs it with arguments that fit; otherwise the output says what is wrong."""
        return _output(self.toolbox.run([self._call(args, arguments)], [self.metadata.get_name()]))

    async def acall(self, /, *args: Any, **arguments: Any) -> ToolOutput:
        """Does ``call`` without blocking the event loop."""
        return _output(await self.toolbox.arun([self._call(args, arguments)], [self.metadata.get_name()]))

    def __call__(self, /, *args: Any, **arguments: Any) -> ToolOutput:
        """Does ``call``."""
        return self.call(*args, **arguments)

    def _call(self, args: tuple[Any, ...], arguments: dict[str, Any]) -> ToolCall:
        return ToolCall("", self.metadata.get_name(), args[0] if args else arguments)


def _model(schema: ToolSchema) -> type[BaseModel]:
    """Makes the class of arguments that LlamaIndex wants; it holds any values, and shows the schema as it is."""

    class Arguments(BaseModel):
        model_config = ConfigDict(extra="allow", title=schema.name)

        @classmethod
        def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
            return dict(schema.parameters)

    return Arguments


def _output(outcomes: list[Outcome]) -> ToolOutput:
    (outcome,) = outcomes
    arguments = outcome.call.arguments
    return ToolOutput(
        tool_name=outcome.call.name,
        content=outcome.text,
        raw_input=arguments if isinstance(arguments, dict) else {"input": arguments},
        raw_output=outcome,
        is_error=outcome.fault is not None,
    )


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
    return [CatalogTool(toolbox, schema) for schema in toolbox.schemas.values()]
