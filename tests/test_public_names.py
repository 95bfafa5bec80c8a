"""The public names of every portion: one that comes or goes is a decision, with a line in the changelog."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOTS = [ROOT / name for name in ("src", "integrations", "training")]
SNAPSHOT = Path(__file__).with_name("public_names.txt")

pytestmark = pytest.mark.skipif(not all(root.is_dir() for root in ROOTS), reason="no checkout")


def faces():
    """The names that each ``__init__`` hands on, by module."""
    found = {}
    for root in ROOTS:
        for path in (root / "multiretriever").rglob("__init__.py"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                    found[".".join(path.parent.relative_to(root).parts)] = ast.literal_eval(node.value)
    return found


def test_public_names_are_those_of_the_snapshot():
    lines = [f"{module}: {' '.join(names)}" for module, names in sorted(faces().items())]
    assert lines == SNAPSHOT.read_text(encoding="utf-8").splitlines()


def test_the_api_page_shows_every_portion():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    # The index's face is for the package itself: its class is on the page of the core.
    assert [name for name in faces() if f"::: {name}\n" not in page and name != "multiretriever.core.index"] == []
