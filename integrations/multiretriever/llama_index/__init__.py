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
)
from multiretriever.llama_index.tools import ToolSelector, catalog_from_tools, retriever_tool, tools_from_catalog

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
    "achat_with",
    "catalog_from_tools",
    "chat_with",
    "init_llm",
    "retriever_tool",
    "tools_from_catalog",
]
