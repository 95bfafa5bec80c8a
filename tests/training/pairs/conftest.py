import pytest

from multiretriever.datasets import Dataset
from small_dataset import write_dataset


@pytest.fixture
def dataset(tmp_path):
    return Dataset.from_path(write_dataset(tmp_path / "small"))
