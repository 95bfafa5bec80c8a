"""The datasets in ``data/``. They are not part of the wheel; where the folder is not there, these tests have no subject."""

from pathlib import Path

import pytest

from multiretriever.datasets import Dataset

DATA = Path(__file__).parents[2] / "data"
DOMAINS = (
    "customer_service",
    "education",
    "facilities",
    "field_service",
    "finance",
    "healthcare",
    "hr",
    "legal",
    "procurement",
    "security_operations",
)


def pytest_collection_modifyitems(items):
    if not DATA.is_dir():
        skip = pytest.mark.skip(reason="data/ is not part of this copy of the project")
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def it_service():
    return Dataset.from_path(DATA / "it_service")


@pytest.fixture(scope="session")
def domains():
    return {name: Dataset.from_path(DATA / name) for name in DOMAINS}
