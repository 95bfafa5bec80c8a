"""Datasets: catalogs with flows and with queries whose answers are known."""

from multiretriever.core.datasets.checking import check_dataset
from multiretriever.core.datasets.dataset import Dataset
from multiretriever.core.datasets.example import GIVEN, Example
from multiretriever.core.datasets.flow_examples import EVALUATED_KINDS, FLOW_KINDS, FlowExamples
from multiretriever.core.datasets.queries import read_queries
from multiretriever.core.datasets.settings import DatasetSettings
from multiretriever.core.datasets.summary import summary_row

__all__ = [
    "EVALUATED_KINDS",
    "FLOW_KINDS",
    "GIVEN",
    "Dataset",
    "DatasetSettings",
    "Example",
    "FlowExamples",
    "check_dataset",
    "read_queries",
    "summary_row",
]
