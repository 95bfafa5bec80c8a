"""Datasets: catalogs with flows and with queries whose answers are known."""

from multiretriever.core.example import GIVEN, Example
from multiretriever.core.sources.detection import DatasetSettings
from multiretriever.datasets.beir import PASSAGE, BeirDataset, Passage, open_dataset
from multiretriever.datasets.checks import Leak, check_dataset, find_leaks
from multiretriever.datasets.dataset import Dataset, read_queries, summary_row
from multiretriever.datasets.examples import EVALUATED_KINDS, FLOW_KINDS, FlowExamples

__all__ = [
    "EVALUATED_KINDS",
    "FLOW_KINDS",
    "GIVEN",
    "PASSAGE",
    "BeirDataset",
    "Dataset",
    "DatasetSettings",
    "Example",
    "FlowExamples",
    "Leak",
    "Passage",
    "check_dataset",
    "find_leaks",
    "open_dataset",
    "read_queries",
    "summary_row",
]
