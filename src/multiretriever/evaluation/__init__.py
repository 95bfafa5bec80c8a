"""Evaluation: how well systems find the elements that answer queries. Needs the extra ``eval``."""

from __future__ import annotations

from multiretriever.evaluation.chat_generators import GroundedGenerator, UngroundedGenerator, chat_generators
from multiretriever.evaluation.generation import GeneratedFlow, GenerationReport, MeanScore, evaluate_generation
from multiretriever.evaluation.generators import Generated, Generator, Retrieval, RuleGenerator, rule_generators
from multiretriever.evaluation.measures import MEASURES
from multiretriever.evaluation.paper import Comparison, Figure, Paper, compare, paper_markdown, read_paper
from multiretriever.evaluation.report import Cell, EvaluationReport, QueryInfo, Row, Table
from multiretriever.evaluation.report_files import misses, plot_table, report_markdown, table_markdown, write_misses
from multiretriever.evaluation.run import evaluate
from multiretriever.evaluation.systems import Ranked, RetrieverSystem, System, SystemInfo, retriever_systems

__all__ = [
    "MEASURES",
    "Cell",
    "Comparison",
    "EvaluationReport",
    "Figure",
    "Generated",
    "GeneratedFlow",
    "GenerationReport",
    "Generator",
    "GroundedGenerator",
    "MeanScore",
    "Paper",
    "QueryInfo",
    "Ranked",
    "Retrieval",
    "RetrieverSystem",
    "Row",
    "RuleGenerator",
    "System",
    "SystemInfo",
    "Table",
    "UngroundedGenerator",
    "chat_generators",
    "compare",
    "evaluate",
    "evaluate_generation",
    "misses",
    "paper_markdown",
    "plot_table",
    "read_paper",
    "report_markdown",
    "retriever_systems",
    "rule_generators",
    "table_markdown",
    "write_misses",
]
