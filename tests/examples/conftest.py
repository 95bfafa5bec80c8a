"""What the tests of the examples share: the bundled catalog, and indexes of it."""

import shutil
from datetime import date

import pytest

from encoders import WordEncoder
from multiretriever.core import Catalog, Index, MultiRetriever
from multiretriever.core.catalog import IT_SERVICE
from sqlite_sample import SampleDatabase


@pytest.fixture(scope="session")
def shared_index(bundled_original, tmp_path_factory):
    """Folder of an index of the bundled catalog, which all programs open, one after the other."""
    return str(shutil.copytree(bundled_original, tmp_path_factory.mktemp("examples") / "index"))


@pytest.fixture(scope="session")
def bundled():
    """The bundled catalog."""
    return Catalog.from_path(IT_SERVICE)


@pytest.fixture(scope="session")
def bundled_retriever(bundled, tmp_path_factory):
    """A retriever over it; the encoder is not the subject."""
    with Index.from_catalog(bundled, tmp_path_factory.mktemp("words") / "index", encoder=WordEncoder()) as index:
        yield MultiRetriever(index)


@pytest.fixture(scope="session")
def database(bundled):
    """A database of it."""
    with SampleDatabase.from_catalog(bundled, rows=20, today=date(2026, 1, 15)) as made:
        yield made
