"""Evaluation: how well systems find the elements that answer queries. Needs the extra ``eval``."""

from __future__ import annotations

from multiretriever.evaluation.chat_generators import GroundedGenerator, UngroundedGenerator, chat_generators
from multiretriever.evaluation.generation import GeneratedFlow, GenerationReport, MeanScore, evaluate_generation
from multiretriever.evaluation.generators import Generated, Generator, Retrieval, RuleGenerator, rule_generators
from multiretriever.evaluation.measures import MEASURES
from multiretriever.evaluation.report import Cell, EvaluationReport, QueryInfo, Row, Table
from multiretriever.evaluation.report_files import misses, plot_table, report_markdown, table_markdown, write_misses
from multiretriever.evaluation.run import Selection, evaluate
from multiretriever.evaluation.systems import Ranked, RetrieverSystem, System, SystemInfo, retriever_systems

__all__ = [
    "MEASURES",
    "Cell",
    "EvaluationReport",
    "Generated",
    "GeneratedFlow",
    "GenerationReport",
    "Generator",
    "GroundedGenerator",
    "MeanScore",
    "QueryInfo",
    "Ranked",
    "Retrieval",
    "RetrieverSystem",
    "Row",
    "RuleGenerator",
    "Selection",
    "System",
    "SystemInfo",
    "Table",
    "UngroundedGenerator",
    "chat_generators",
    "evaluate",
    "evaluate_generation",
    "misses",
    "plot_table",
    "report_markdown",
    "retriever_systems",
    "rule_generators",
    "table_markdown",
    "write_misses",
]
