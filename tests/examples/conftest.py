import shutil

import pytest


@pytest.fixture(scope="session")
def shared_index(bundled_original, tmp_path_factory):
    """Folder of an index of the bundled catalog, which all programs open, one after the other."""
    return str(shutil.copytree(bundled_original, tmp_path_factory.mktemp("examples") / "index"))
