"""Retrieval as tools of an agent, an agent's tools as a catalog, and the steps of a catalog as tools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from llama_index.core.objects import ObjectRetriever, SimpleToolNodeMapping
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, QueryType
from llama_index.core.tools import AsyncBaseTool, BaseTool, RetrieverTool, ToolMetadata, ToolOutput
from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import element_type
from multiretriever.core.encoders import EncoderSpec
from multiretriever.core.errors import CatalogError, ParameterError, Problem
from multiretriever.core.index import Index
from multiretriever.core.query import Mode, check_k, check_mode
from multiretriever.core.retriever import DEFAULT_MODE, MultiRetriever
from multiretriever.core.sources import ToolSource
from multiretriever.grounding.tool_check import AsyncCall, Call, StepTool, ToolCallError, step_tools
from multiretriever.llama_index.retrievers import ElementRetriever, IndexRetriever, StepRetriever


def retriever_tool(retriever: IndexRetriever, name: str | None = None, description: str | None = None) -> RetrieverTool:
    """Makes a tool of a retriever, for an agent or a ``RouterRetriever``.

    Args:
        retriever: An ``ElementRetriever`` or ``GroundingRetriever``.
        name: Name of the tool; None for one such as ``search_steps``.
        description: What the agent's model reads; None for a sentence on the element type.
    """
    if isinstance(retriever, ElementRetriever):
        plural = element_type(retriever.element_type).plural
        known_as, about = f"search_{plural}", f"Searches the {plural.replace('_', ' ')} of this installation."
    else:
        known_as, about = "search_installation", "Searches this installation for all that a requirement needs at once."
    about += " The input says in words what is needed. Returns those that fit best, each with id, label, description."
    return _BareQueryTool(retriever, ToolMetadata(name=name or known_as, description=description or about))


class _BareQueryTool(RetrieverTool):
    """Searches for what the model wrote; ``RetrieverTool`` itself makes ``input is ...`` of it."""

    def call(self, *args: Any, **kwargs: Any) -> ToolOutput:
        query = _query(args, kwargs)
        nodes = self._apply_node_postprocessors(self._retriever.retrieve(query), QueryBundle(query))
        return self._output(query, nodes)

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        query = _query(args, kwargs)
        nodes = await self._async_apply_node_postprocessors(await self._retriever.aretrieve(query), QueryBundle(query))
        return self._output(query, nodes)

    def _output(self, query: str, nodes: list[NodeWithScore]) -> ToolOutput:
        content = "\n\n".join(node.node.get_content(MetadataMode.LLM) for node in nodes)
        return ToolOutput(tool_name=self.metadata.get_name(), content=content, raw_input={"input": query}, raw_output=nodes)


def _query(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    return "\n".join(str(value) for value in (*args, *kwargs.values()))


def catalog_from_tools(tools: Iterable[BaseTool], scope: str = "tools") -> Catalog:
    """Makes a catalog of LlamaIndex tools, each a step.

    Args:
        tools: The tools.
        scope: Scope of the steps.

    Raises:
        CatalogError: There is no tool, a name appears twice, or the arguments of a tool cannot be written as a JSON schema.
        ParameterError: Something else than a LlamaIndex tool is among them.
    """
    return Catalog.from_source(ToolSource([_description(tool) for tool in tools], scope=scope))


def _description(tool: BaseTool) -> dict[str, Any]:
    """Describes a tool as the Model Context Protocol does."""
    if not isinstance(tool, BaseTool):
        raise ParameterError(f"tools are LlamaIndex BaseTool objects (got {type(tool).__name__})")
    name, text = tool.metadata.name, tool.metadata.description or ""
    try:
        schema = tool.metadata.get_parameters_dict()
    except Exception as error:  # pydantic's classes, for arguments of any Python type
        message = f"its arguments cannot be written as a JSON schema: {error}"
        raise CatalogError([Problem(message, f"tool {name!r}", field="inputSchema")]) from error
    # FunctionTool puts the signature above the docstring; the schema says it better, and it is no natural language.
    first, _, rest = text.partition("\n")
    return {"name": name, "description": (rest if first.startswith(f"{name}(") else text).strip(), "inputSchema": schema}


class ToolSelector(ObjectRetriever[BaseTool]):
    """Chooses the tools that fit a query: ``tool_retriever=`` of agents, or an object retriever anywhere else.

    The index is in memory and is built once.

    Attributes:
        tools: All tools.
        k: How many are chosen, at most.
    """

    def __init__(
        self,
        tools: Sequence[BaseTool],
        *,
        encoder: EncoderSpec = None,
        k: int = 10,
        mode: Mode = DEFAULT_MODE,
    ) -> None:
        """Indexes the tools in memory.

        Args:
            tools: All tools; their names are unique.
            encoder: The encoder, or what ``load_encoder`` takes; None for the shipped one.
            k: Tools that are chosen, at most.
            mode: How to rank: ``dense``, ``lexical`` or ``hybrid``.

        Raises:
            ParameterError: Something among the tools is no LlamaIndex tool, or k or mode is not valid.
            CatalogError: Two tools have one name, a tool has none, or there is no tool at all.
            EncoderError: The encoder failed.
        """
        # Before the work of indexing, not after it.
        self.k, checked_mode = check_k(k, 10), check_mode(mode)
        self.tools = tuple(tools)
        index = Index.from_catalog(catalog_from_tools(self.tools), encoder=encoder)
        self._by_name = {tool.metadata.name: tool for tool in self.tools}
        self._steps = StepRetriever(MultiRetriever(index), k=self.k, mode=checked_mode)
        super().__init__(self._steps, SimpleToolNodeMapping.from_objects(self.tools))

    def select(self, query: str) -> list[BaseTool]:
        """Returns the tools that fit a query, best first; a tool whose name is the query comes before all others.

        Raises:
            QueryError: The query is empty, not text, or too long.
            EncoderError: The encoder failed.
        """
        return self._named_first(query, super().retrieve(query))

    async def aselect(self, query: str) -> list[BaseTool]:
        """Does ``select`` without blocking the event loop."""
        return self._named_first(query, await super().aretrieve(query))

    def retrieve(self, str_or_query_bundle: QueryType) -> list[BaseTool]:
        """Does ``select``; but an empty query, which an agent asks for a message without text, chooses no tool."""
        query = str(str_or_query_bundle)
        return self._named_first(query, super().retrieve(str_or_query_bundle)) if query.strip() else []

    async def aretrieve(self, str_or_query_bundle: QueryType) -> list[BaseTool]:
        """Does ``retrieve`` without blocking the event loop."""
        query = str(str_or_query_bundle)
        return self._named_first(query, await super().aretrieve(str_or_query_bundle)) if query.strip() else []

    def _named_first(self, query: str, found: list[BaseTool]) -> list[BaseTool]:
        # When a model has called a tool, LlamaIndex's agents look the tool up once more, with its name as the query.
        named = self._by_name.get(query)
        return found if named is None else [named, *(tool for tool in found if tool is not named)][: self.k]

    def close(self) -> None:
        """Closes the index."""
        self._steps.close()


class CatalogTool(AsyncBaseTool):
    """A step as a tool. Arguments that do not fit are refused before anything runs, in words for the LLM.

    Whether it was offered it cannot know: agents run any tool that they have.

    Attributes:
        tool: What checks and runs it.
    """

    def __init__(self, tool: StepTool) -> None:
        """Makes it of a step's tool."""
        self.tool = tool
        self._metadata = ToolMetadata(name=tool.name, description=tool.description, fn_schema=_arguments(tool))

    @property
    def metadata(self) -> ToolMetadata:
        """What an LLM is shown."""
        return self._metadata

    # No other names in these two: the arguments of an API may be called input, self or anything else.
    def call(self, /, *args: Any, **arguments: Any) -> ToolOutput:
        """Runs it with arguments that fit; otherwise the output says what is wrong, and its raw output is a ``ToolCallError``."""
        given = args[0] if args else arguments
        try:
            return self._output(given, self.tool.run(given))
        except ToolCallError as error:
            return self._output(given, error)

    async def acall(self, /, *args: Any, **arguments: Any) -> ToolOutput:
        """Does ``call`` without blocking the event loop."""
        given = args[0] if args else arguments
        try:
            return self._output(given, await self.tool.arun(given))
        except ToolCallError as error:
            return self._output(given, error)

    def __call__(self, /, *args: Any, **arguments: Any) -> ToolOutput:
        """Does ``call``."""
        return self.call(*args, **arguments)

    def _output(self, given: Any, result: str | ToolCallError) -> ToolOutput:
        return ToolOutput(
            tool_name=self.tool.name,
            content=str(result),
            raw_input=given if isinstance(given, dict) else {"input": given},
            raw_output=result,
            is_error=isinstance(result, ToolCallError),
        )


def _arguments(tool: StepTool) -> type[BaseModel]:
    """Makes the class of arguments that LlamaIndex wants; it holds any values, and shows the schema as it is."""

    class Arguments(BaseModel):
        model_config = ConfigDict(extra="allow", title=tool.name)

        @classmethod
        def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
            return dict(tool.parameters)

    return Arguments


def tools_from_catalog(catalog: Catalog, call: Call, *, acall: AsyncCall | None = None) -> list[CatalogTool]:
    """Makes a tool of every step of a catalog, such as one of OpenAPI documents.

    Args:
        catalog: The catalog.
        call: Runs a step with arguments that were checked, and returns what JSON can hold.
        acall: Does so without blocking the event loop; None for ``call`` in a thread.

    Raises:
        CatalogError: The catalog has no step.
    """
    return [CatalogTool(tool) for tool in step_tools(catalog, call, acall=acall)]
