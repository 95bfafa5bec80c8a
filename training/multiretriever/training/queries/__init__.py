"""Queries written for documents that nobody has queries for: by a chat model, or from templates."""

from multiretriever.training.queries.documents import (
    KINDS,
    TEMPLATE_KINDS,
    Document,
    WriterSettings,
    Written,
    check_output,
    documents_of,
    save_queries,
)
from multiretriever.training.queries.journal import Answer, Journal
from multiretriever.training.queries.query_prompts import Prompts, Request, examples_of
from multiretriever.training.queries.templates import TemplateQueryWriter
from multiretriever.training.queries.writer import CallReport, Estimate, LlmQueryWriter

__all__ = [
    "KINDS",
    "TEMPLATE_KINDS",
    "Answer",
    "CallReport",
    "Document",
    "Estimate",
    "Journal",
    "LlmQueryWriter",
    "Prompts",
    "Request",
    "TemplateQueryWriter",
    "WriterSettings",
    "Written",
    "check_output",
    "documents_of",
    "examples_of",
    "save_queries",
]
