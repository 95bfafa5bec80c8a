"""LangChain over multiretriever: embeddings, retrievers of every element type, grounding, and tools for agents.

Needs the extra ``langchain``: ``pip install "multiretriever[langchain]"``.
"""

from multiretriever.core.errors import MissingDependencyError

try:
    import langchain_core  # noqa: F401
except ImportError as error:
    raise MissingDependencyError(
        'multiretriever.langchain needs langchain-core; install it with: pip install "multiretriever[langchain]"'
    ) from error

from multiretriever.langchain.chat import achat_with, chat_with, init_model
from multiretriever.langchain.embeddings import InstructionEmbeddings, LangChainEncoder
from multiretriever.langchain.grounding import GroundingRunnable
from multiretriever.langchain.retrievers import (
    CatalogItemRetriever,
    ElementRetriever,
    FieldRetriever,
    StepRetriever,
    TableRetriever,
    WorkflowRetriever,
)
from multiretriever.langchain.tools import ToolSelector, catalog_from_tools, grounding_tool, retriever_tool, tools_from_catalog

__all__ = [
    "CatalogItemRetriever",
    "ElementRetriever",
    "FieldRetriever",
    "GroundingRunnable",
    "InstructionEmbeddings",
    "LangChainEncoder",
    "StepRetriever",
    "TableRetriever",
    "ToolSelector",
    "WorkflowRetriever",
    "achat_with",
    "catalog_from_tools",
    "chat_with",
    "grounding_tool",
    "init_model",
    "retriever_tool",
    "tools_from_catalog",
]
