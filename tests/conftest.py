"""What holds for all tests: threads, and the small parts that stand in for a catalog, an encoder and an index."""

import os

# Before anything loads torch: its threads fight over two cores, and a training test takes three times as long.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import shutil  # noqa: E402

import pytest  # noqa: E402

from catalogs import small_catalog  # noqa: E402
from encoders import WordEncoder  # noqa: E402
from multiretriever.core import Catalog, Index, MultiRetriever  # noqa: E402
from multiretriever.core.catalog import IT_SERVICE  # noqa: E402


@pytest.fixture(autouse=True)
def closed_indexes(monkeypatch):
    """Closes what a test left open: while one index in memory is open, Chroma frees no memory of those that were closed."""
    made, make = [], Index.__init__

    def remembered(self, *args, **options):
        made.append(self)
        make(self, *args, **options)

    monkeypatch.setattr(Index, "__init__", remembered)
    yield
    for index in made:
        index.close()


@pytest.fixture
def encoder():
    return WordEncoder()


@pytest.fixture
def catalog():
    return small_catalog()


@pytest.fixture
def memory_index(catalog, encoder):
    with Index.from_catalog(catalog, encoder=encoder) as index:
        yield index


@pytest.fixture
def retriever(memory_index):
    return MultiRetriever(memory_index)


@pytest.fixture(scope="session")
def bundled_original(tmp_path_factory):
    """Folder of an index of the bundled catalog, encoded once a session by the shipped encoder; to be copied, never opened."""
    folder = tmp_path_factory.mktemp("bundled") / "index"
    Index.from_catalog(Catalog.from_path(IT_SERVICE), folder).close()
    return folder


@pytest.fixture(scope="module")
def bundled_index(bundled_original, tmp_path_factory):
    """A copy of that index for the tests of one module."""
    return shutil.copytree(bundled_original, tmp_path_factory.mktemp("bundled_copy") / "index")
