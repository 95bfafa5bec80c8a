"""Evaluation: how well systems find the elements that answer queries. Needs the extra ``eval``."""

from multiretriever.core.evaluation.beir import PASSAGE, BeirDataset, Passage, open_dataset
from multiretriever.core.evaluation.chat_generators import GroundedGenerator, UngroundedGenerator, chat_generators
from multiretriever.core.evaluation.generation import GeneratedFlow, GenerationReport, MeanScore, evaluate_generation
from multiretriever.core.evaluation.generators import Generated, Generator, Retrieval, RuleGenerator, rule_generators
from multiretriever.core.evaluation.leakage import Leak, find_leaks
from multiretriever.core.evaluation.markdown import report_markdown, table_markdown
from multiretriever.core.evaluation.measures import MEASURES
from multiretriever.core.evaluation.misses import misses, write_misses
from multiretriever.core.evaluation.paper import Comparison, Figure, Paper, compare, paper_markdown, read_paper
from multiretriever.core.evaluation.plots import plot_table
from multiretriever.core.evaluation.report import EvaluationReport, QueryInfo
from multiretriever.core.evaluation.run import evaluate
from multiretriever.core.evaluation.systems import Ranked, RetrieverSystem, System, SystemInfo, retriever_systems
from multiretriever.core.evaluation.tables import Cell, Row, Table

__all__ = [
    "MEASURES",
    "PASSAGE",
    "BeirDataset",
    "Cell",
    "Comparison",
    "EvaluationReport",
    "Figure",
    "Generated",
    "GeneratedFlow",
    "GenerationReport",
    "Generator",
    "GroundedGenerator",
    "Leak",
    "MeanScore",
    "Paper",
    "Passage",
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
    "find_leaks",
    "misses",
    "open_dataset",
    "paper_markdown",
    "plot_table",
    "read_paper",
    "report_markdown",
    "retriever_systems",
    "rule_generators",
    "table_markdown",
    "write_misses",
]
