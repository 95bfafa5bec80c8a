"""Queries written for elements that nobody has queries for: by a chat model, or from templates."""

from multiretriever.training.queries.documents import Document, WriterSettings, documents_of, save_queries
from multiretriever.training.queries.query_prompts import Prompts, examples_of
from multiretriever.training.queries.templates import TemplateQueryWriter
from multiretriever.training.queries.writer import LlmQueryWriter

__all__ = [
    "Document",
    "LlmQueryWriter",
    "Prompts",
    "TemplateQueryWriter",
    "WriterSettings",
    "documents_of",
    "examples_of",
    "save_queries",
]
