"""Retrieval as tools of an agent, an agent's tools as a catalog, and the steps of a catalog as tools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import pydantic
from langchain_core.callbacks import Callbacks
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.prompts import StringPromptTemplate, format_document
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException, create_retriever_tool
from langchain_core.utils.function_calling import convert_to_openai_function

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import element_type as type_of
from multiretriever.core.encoders import EncoderSpec
from multiretriever.core.errors import CatalogError, ParameterError, Problem, QueryError
from multiretriever.core.index import Index
from multiretriever.core.query import MAX_QUERY, Mode, check_k, check_mode
from multiretriever.core.retriever import DEFAULT_MODE, Hit, MultiRetriever
from multiretriever.core.sources import ToolSource
from multiretriever.grounding.tool_check import AsyncCall, Call, StepTool, ToolCallError, step_tools
from multiretriever.langchain.grounding import GroundingOutput, GroundingRunnable
from multiretriever.langchain.retrievers import ElementRetriever

if TYPE_CHECKING:
    from multiretriever.langchain.middleware import ToolSelectorMiddleware

_SEPARATOR = "\n\n"


class _ElementPrompt(StringPromptTemplate):
    """Writes an element the way a chat model needs it: the id that it is to use, then what people call it and what it does."""

    def format(self, **kwargs: Any) -> str:
        head = ": ".join(filter(None, (kwargs["id"], kwargs["label"])))
        return "\n".join(filter(None, (head, kwargs["description"])))


_PROMPT = _ElementPrompt(input_variables=["id", "label", "description"])


class _ToolInput(pydantic.BaseModel):
    query: str = pydantic.Field(description="What is looked for, in words.")


def retriever_tool(retriever: ElementRetriever, name: str | None = None, description: str | None = None) -> StructuredTool:
    """Makes a tool by which an agent searches elements; it shows id, label and description of each.

    Args:
        retriever: The retriever.
        name: Name of the tool; None for one made of the element type, such as ``search_catalog_items``.
        description: What it does, for the chat model; None for one made of the element type.
    """
    kind = type_of(retriever.element_type)
    words = kind.plural.replace("_", " ")
    about = f"Searches the {words} of this installation. Returns those that fit the query best, each with id, label, description."
    return create_retriever_tool(
        retriever,
        name or f"search_{kind.plural}",
        description or about,
        document_prompt=_PROMPT,
        document_separator=_SEPARATOR,
    )


def grounding_tool(
    grounding: GroundingRunnable, name: str = "search_installation", description: str | None = None
) -> StructuredTool:
    """Makes a tool by which an agent searches several element types at once; it shows them by type.

    Args:
        grounding: The runnable; its ``k`` says which types.
        name: Name of the tool.
        description: What it does, for the chat model.
    """
    types = ", ".join(type_of(kind).plural.replace("_", " ") for kind in grounding.k or grounding.retriever.index.manifest.types)

    def search(query: str, callbacks: Callbacks = None) -> str:
        return _by_type(grounding.invoke(query, config={"callbacks": callbacks}))

    async def asearch(query: str, callbacks: Callbacks = None) -> str:
        return _by_type(await grounding.ainvoke(query, config={"callbacks": callbacks}))

    return StructuredTool(
        name=name,
        description=description or f"Searches this installation for all that a requirement needs at once: {types}.",
        func=search,
        coroutine=asearch,
        args_schema=_ToolInput,
    )


def _by_type(found: GroundingOutput) -> str:
    sections = [f"# {type_of(name).plural}{_SEPARATOR}{_shown(documents)}" for name, documents in found.items()]
    return _SEPARATOR.join(sections)


def _shown(documents: Sequence[Document]) -> str:
    return _SEPARATOR.join(format_document(document, _PROMPT) for document in documents) or "(none)"


def catalog_from_tools(tools: Iterable[BaseTool], scope: str = "tools") -> Catalog:
    """Makes a catalog of LangChain tools, each a step.

    Args:
        tools: The tools.
        scope: Scope of the steps.

    Raises:
        CatalogError: There is no tool, a name appears twice, or the arguments of a tool cannot be written as a JSON schema.
        ParameterError: Something else than a LangChain tool is among them.
    """
    return Catalog.from_source(ToolSource([_description(tool) for tool in tools], scope=scope))


def _description(tool: BaseTool) -> dict[str, Any]:
    """Describes a tool as the Model Context Protocol does."""
    if not isinstance(tool, BaseTool):
        raise ParameterError(f"tools are LangChain tools (got {type(tool).__name__})")
    try:
        schema = convert_to_openai_function(tool).get("parameters")
    except Exception as error:  # pydantic's classes, for arguments of any Python type
        message = f"its arguments cannot be written as a JSON schema: {error}"
        raise CatalogError([Problem(message, f"tool {tool.name!r}", field="inputSchema")]) from error
    title = (tool.metadata or {}).get("title")
    return {"name": tool.name, "title": title, "description": tool.description, "inputSchema": schema}


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
        encoder: EncoderSpec = None,
        k: int = 10,
        mode: Mode = DEFAULT_MODE,
    ) -> None:
        """Indexes the tools.

        Args:
            tools: The tools; no name may appear twice.
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
    # People paste whole documents into a conversation, and what they want is mostly at the end.
    return str((human or messages)[-1].text)[-MAX_QUERY:]


class CatalogTool(BaseTool):
    """A step as a tool. Arguments that do not fit are refused before anything runs, in words for the chat model.

    Whether it was offered it cannot know: agents run any tool that they have.

    Attributes:
        tool: What checks and runs it.
    """

    tool: StepTool
    handle_tool_error: Any = True

    def __init__(self, tool: StepTool) -> None:
        """Makes it of a step's tool."""
        super().__init__(
            name=tool.name,
            description=tool.description,
            args_schema=dict(tool.parameters),
            metadata={"step": tool.step.id, "title": tool.step.label},
            tool=tool,
        )

    # No other names in these two: the arguments of an API may be called config, self or anything else.
    def _run(self, /, *args: Any, **arguments: Any) -> str:
        try:
            return self.tool.run(args[0] if args else arguments)
        except ToolCallError as error:
            raise ToolException(str(error)) from error

    async def _arun(self, /, *args: Any, **arguments: Any) -> str:
        try:
            return await self.tool.arun(args[0] if args else arguments)
        except ToolCallError as error:
            raise ToolException(str(error)) from error


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
