"""What several modules of these tests use."""

import pytest

from catalogs import make_steps, small_catalog
from encoders import WordEncoder
from multiretriever.core import Catalog, Index
from processes import chroma_server

# Above 1,000 elements Chroma writes vectors to files of their own.
LARGE = 1_300


@pytest.fixture(scope="session")
def large_folder(tmp_path_factory):
    """A folder with an index of more than 1,000 elements, to be copied and never opened."""
    folder = tmp_path_factory.mktemp("large") / "index"
    Index.from_catalog(Catalog(make_steps(LARGE)), folder, encoder=WordEncoder()).close()
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One Chroma server for all tests; each gives its index a name of its own."""
    with chroma_server(tmp_path_factory.mktemp("chroma")) as running:
        yield running


@pytest.fixture
def folder(tmp_path):
    """A folder with a small index that nobody has open."""
    path = tmp_path / "index"
    Index.from_catalog(small_catalog(), path, encoder=WordEncoder()).close()
    return path


@pytest.fixture(params=["memory", "folder"])
def index(request, tmp_path, encoder):
    """An empty index, in memory and in a folder."""
    location = None if request.param == "memory" else tmp_path / "index"
    with Index.open(location, encoder=encoder, create=True) as opened:
        yield opened
