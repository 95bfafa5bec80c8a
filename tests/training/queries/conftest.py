import pytest

from multiretriever.datasets import Dataset
from multiretriever.training.queries import documents_of
from small_dataset import write_dataset


@pytest.fixture
def dataset(tmp_path):
    return Dataset.from_path(write_dataset(tmp_path / "small"))


@pytest.fixture
def documents(dataset):
    return documents_of(dataset, ["catalog_item", "step"])
