"""Datasets: catalogs with flows and with queries whose answers are known."""

from multiretriever.datasets.beir import BeirDataset, open_dataset
from multiretriever.datasets.checks import check_dataset
from multiretriever.datasets.dataset import Dataset

__all__ = [
    "BeirDataset",
    "Dataset",
    "check_dataset",
    "open_dataset",
]
