"""LlamaIndex over multiretriever: embeddings, retrievers of every element type, grounding, and tools for agents.

Needs the extra ``llama-index``: ``pip install "multiretriever[llama-index]"``.
"""

from multiretriever.core.errors import MissingDependencyError

try:
    import llama_index.core  # noqa: F401
except ImportError as error:
    raise MissingDependencyError(
        'multiretriever.llama_index needs llama-index-core; install it with: pip install "multiretriever[llama-index]"'
    ) from error

from multiretriever.llama_index.catalog_tools import tools_from_catalog, tools_from_toolbox
from multiretriever.llama_index.chat import achat_with, chat_with, init_llm
from multiretriever.llama_index.embeddings import InstructionEmbeddings, LlamaIndexEncoder
from multiretriever.llama_index.grounding import GroundingRetriever
from multiretriever.llama_index.retrievers import (
    CatalogItemRetriever,
    ElementRetriever,
    FieldRetriever,
    StepRetriever,
    TableRetriever,
    WorkflowRetriever,
    to_node,
)
from multiretriever.llama_index.tool_answers import aask_with_tools, ask_with_tools, tool_calls, tool_messages
from multiretriever.llama_index.tools import ToolSelector, catalog_from_tools, retriever_tool

__all__ = [
    "CatalogItemRetriever",
    "ElementRetriever",
    "FieldRetriever",
    "GroundingRetriever",
    "InstructionEmbeddings",
    "LlamaIndexEncoder",
    "StepRetriever",
    "TableRetriever",
    "ToolSelector",
    "WorkflowRetriever",
    "aask_with_tools",
    "achat_with",
    "ask_with_tools",
    "catalog_from_tools",
    "chat_with",
    "init_llm",
    "retriever_tool",
    "to_node",
    "tool_calls",
    "tool_messages",
    "tools_from_catalog",
    "tools_from_toolbox",
]
