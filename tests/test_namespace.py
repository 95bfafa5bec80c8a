"""The package is one namespace over three source roots, and its core needs no framework."""

import sys
from collections import Counter
from pathlib import Path

import pytest

import multiretriever.core
from processes import run_python

ROOT = Path(__file__).parents[1]
ROOTS = [ROOT / name / "multiretriever" for name in ("src", "integrations", "training")]
FRAMEWORKS = (
    "torch",
    "transformers",
    "sentence_transformers",
    "langchain",
    "langchain_core",
    "llama_index",
    "sqlalchemy",
    "onnx",
)

needs_checkout = pytest.mark.skipif(not all(root.is_dir() for root in ROOTS), reason="no checkout")

# Makes extras look as if they were not installed.
BLOCK = f"""
import importlib.abc, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {FRAMEWORKS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""


@needs_checkout
def test_no_root_has_an_init_file():
    assert [str(root) for root in ROOTS if (root / "__init__.py").exists()] == []
    assert not any((root.parent / "__init__.py").exists() for root in ROOTS)


@needs_checkout
def test_no_path_is_in_two_roots():
    paths = Counter(
        str(path.relative_to(root))
        for root in ROOTS
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    assert [path for path, count in paths.items() if count > 1] == []


@needs_checkout
def test_types_are_marked_once():
    assert [root.parent.name for root in ROOTS if (root / "py.typed").exists()] == ["src"]


def test_multiretriever_is_a_namespace():
    import multiretriever

    assert multiretriever.__file__ is None


def test_core_loads_no_framework():
    code = "import sys\nimport multiretriever.core\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    status, out, err = run_python(code)
    assert status == 0, err
    loaded = set(out.split())
    assert loaded & set(FRAMEWORKS) == set()
    # They are loaded by what needs them: a command that does not should not wait for them.
    assert loaded & {"chromadb", "onnxruntime", "bm25s"} == set()


def test_core_works_without_any_extra():
    code = f"""{BLOCK}
from catalogs import small_catalog
from encoders import WordEncoder
from multiretriever.core import Index, MissingDependencyError, MultiRetriever, SentenceTransformerEncoder
import multiretriever.core.index.health, multiretriever.core.sources
with Index.from_catalog(small_catalog(), encoder=WordEncoder()) as index:
    print(MultiRetriever(index).retrieve("send a message", "step")[0].id)
try:
    SentenceTransformerEncoder("a/b", from_hub=True)
except MissingDependencyError as error:
    print(error)
"""
    status, out, err = run_python(code)
    assert status == 0, err
    assert out.splitlines()[0] == "slack.post_message"
    assert 'pip install "multiretriever[torch]"' in out


@pytest.mark.parametrize(("portion", "extra"), [("langchain", "langchain"), ("llama_index", "llama-index")])
def test_portions_say_what_is_to_be_installed(portion, extra):
    code = f"""{BLOCK}
try:
    import multiretriever.{portion}
except ImportError as error:
    print(type(error).__name__, error)
"""
    status, out, err = run_python(code)
    assert status == 0, err
    assert out.startswith("MissingDependencyError")
    assert f'pip install "multiretriever[{extra}]"' in out


def test_importing_core_writes_nothing_and_asks_no_network(tmp_path):
    code = f"""
import os, socket
os.chdir({str(tmp_path)!r})
def refuse(*arguments, **options):
    raise SystemExit("a connection was tried")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from catalogs import small_catalog
from encoders import WordEncoder
from multiretriever.core import Index, MultiRetriever
with Index.from_catalog(small_catalog(), "index", encoder=WordEncoder()) as index:
    MultiRetriever(index).ground("send a message")
"""
    status, out, err = run_python(code)
    assert (status, out, err) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_all_public_names_are_there_and_sorted():
    names = multiretriever.core.__all__
    assert [name for name in names if not hasattr(multiretriever.core, name)] == []
    assert len(set(names)) == len(names)
    assert "multiretriever.core" in sys.modules
