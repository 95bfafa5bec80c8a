import pytest

from multiretriever.core.catalog import Catalog
from multiretriever.core.errors import CatalogError


@pytest.fixture
def write(tmp_path):
    """Writes a file below the test's folder and returns its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write_file


@pytest.fixture
def refuse():
    """Loads sources that must be refused, and returns their problems."""

    def load(*sources):
        with pytest.raises(CatalogError) as caught:
            Catalog.from_source(*sources)
        assert caught.value.problems
        return list(caught.value.problems)

    return load


@pytest.fixture
def expect(refuse):
    """Checks file, line, field and a part of the message of every problem, in order."""

    def check(source, *expected, path=None):
        found = refuse(source)
        assert [(item.line, item.field) for item in found] == [(line, field) for line, field, _ in expected], found
        for item, (_, _, part) in zip(found, expected, strict=True):
            assert part in item.message
            assert item.source == str(path or source)

    return check


@pytest.fixture
def load():
    """Loads a source twice, and checks that both readings are the same."""

    def read(source):
        first, second = Catalog.from_source(source), Catalog.from_source(source)
        assert list(first) == list(second)
        return first

    return read
