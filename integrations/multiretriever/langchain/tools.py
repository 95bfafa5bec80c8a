"""Retrieval as tools of an agent, and an agent's tools as a catalog."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pydantic
from langchain_core.callbacks import Callbacks
from langchain_core.documents import Document
from langchain_core.prompts import StringPromptTemplate, format_document
from langchain_core.tools import BaseTool, StructuredTool, create_retriever_tool
from langchain_core.utils.function_calling import convert_to_openai_function

from multiretriever.core.catalog import Catalog
from multiretriever.core.errors import CatalogError, ParameterError, Problem
from multiretriever.core.registry import element_type as type_of
from multiretriever.core.sources import ToolSource
from multiretriever.langchain.grounding import GroundingOutput, GroundingRunnable
from multiretriever.langchain.retrievers import ElementRetriever

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
        CatalogError: There is no tool, a name stands twice, or the arguments of a tool cannot be written as a JSON schema.
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
