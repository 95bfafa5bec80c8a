"""Evaluation: how well systems find the elements that answer queries. Needs the extra ``eval``."""

from __future__ import annotations

from multiretriever.evaluation.report import EvaluationReport
from multiretriever.evaluation.report_files import plot_table, report_markdown, write_misses
from multiretriever.evaluation.run import Selection, evaluate
from multiretriever.evaluation.systems import System, retriever_systems

__all__ = [
    "EvaluationReport",
    "Selection",
    "System",
    "evaluate",
    "plot_table",
    "report_markdown",
    "retriever_systems",
    "write_misses",
]
