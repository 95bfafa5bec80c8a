import pytest


@pytest.fixture(scope="session")
def shared_index(tmp_path_factory):
    """Folder of an index of the bundled catalog: the first program makes it and the others open it, as they do by default."""
    return str(tmp_path_factory.mktemp("examples") / "index")
