"""Queries written for documents that nobody has queries for: by a chat model, or by rules."""

from multiretriever.training.queries.documents import Document, documents_of
from multiretriever.training.queries.estimate import Estimate
from multiretriever.training.queries.journal import Answer, Journal
from multiretriever.training.queries.kinds import KINDS, RULE_KINDS, WriterSettings
from multiretriever.training.queries.llm import CallReport, LlmQueryWriter
from multiretriever.training.queries.output import Written, check_output, save_queries
from multiretriever.training.queries.prompting import Prompts, Request, examples_of
from multiretriever.training.queries.rules import RuleQueryWriter

__all__ = [
    "KINDS",
    "RULE_KINDS",
    "Answer",
    "CallReport",
    "Document",
    "Estimate",
    "Journal",
    "LlmQueryWriter",
    "Prompts",
    "Request",
    "RuleQueryWriter",
    "WriterSettings",
    "Written",
    "check_output",
    "documents_of",
    "examples_of",
    "save_queries",
]
