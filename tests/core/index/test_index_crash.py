"""A sync can be killed at any time; the next one ends where a clean one ends."""

import contextlib
import os
import signal
import subprocess
import time

import pytest

from catalogs import make_steps
from encoders import WordEncoder
from indexes import store_of
from multiretriever.core import Catalog, EncoderMismatchError, Index, IndexNotFoundError, MultiRetriever, Table
from multiretriever.core.index.health import verify_index
from processes import PATIENCE, run_python, start_python

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills with SIGKILL")

# More than 1,000, from which on Chroma writes vectors to files; five batches of the encoder.
COUNT = 1_100
# Wide enough that no two texts get equal vectors, and answers can be compared.
DIMENSION = 256

# Kills itself at a point that is named: the n-th batch of the encoder, or before or after a function of a module.
CHILD = """
import importlib, os, signal, sys
from catalogs import make_steps
from encoders import WordEncoder
from multiretriever.core import Catalog, Index, Table

folder, name, count, point = sys.argv[1:5]

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

class Dying(WordEncoder):
    batch = 0
    def encode_documents(self, texts):
        self.batch += 1
        if point == f"batch {self.batch}":
            die()
        return super().encode_documents(texts)

if ":" in point:
    module, function = point.split(":")
    target = importlib.import_module(f"multiretriever.core.index.{module}")
    owner, _, attribute = function.rpartition(".")
    setattr(getattr(target, owner) if owner else target, attribute, die)
print("go", flush=True)
with Index.open(folder, encoder=Dying(name, 256), create=True) as index:
    index.sync(Catalog([*make_steps(int(count)), Table(name="incident")]), allow_shrink=True)
print("done", flush=True)
"""


def wanted():
    return Catalog([*make_steps(COUNT), Table(name="incident")])


def answers(index):
    retriever = MultiRetriever(index)
    queries = ["look up incident number7", "close ticket number999", "approve invoice"]
    return [
        [(hit.id, round(hit.score, 4)) for hit in hits]
        for mode in ("dense", "lexical", "hybrid")
        for hits in retriever.retrieve_batch(queries, "step", k=5, mode=mode)
    ]


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """What an index says that was never interrupted."""
    with Index.from_catalog(
        wanted(), tmp_path_factory.mktemp("clean") / "index", encoder=WordEncoder(dimension=DIMENSION)
    ) as index:
        return answers(index)


def check_repaired(folder, clean, encoder):
    with Index.open(folder, encoder=encoder, create=True) as index:
        index.sync(wanted(), allow_shrink=True)
        assert {item.id: item for item in index.catalog()} == {item.id: item for item in wanted()}
        assert verify_index(index, sample=200) == []
        assert answers(index) == clean
        assert len(store_of(index).names()) == 3
        assert index.manifest.complete
    # And so it is after it was closed: the checksums fit.
    with Index.open(folder, encoder=encoder) as index:
        assert answers(index) == clean


@pytest.mark.parametrize(
    "point",
    ["batch 1", "batch 4", "sync:write_manifest", "sync:_drop_stale", "folder:os.replace"],
)
def test_killed_while_it_is_made(tmp_path, clean, point):
    status, out, err = run_python(CHILD, tmp_path / "index", "words", COUNT, point)
    assert (status, out) == (-signal.SIGKILL, "go"), err
    encoder = WordEncoder(dimension=DIMENSION)
    if not point.startswith(("folder", "sync:_drop")):
        with pytest.raises(IndexNotFoundError, match="sync"):
            Index.open(tmp_path / "index", encoder=encoder)
    check_repaired(tmp_path / "index", clean, encoder)
    if point != "batch 1":
        # What was written before is not embedded again.
        assert encoder.documents < COUNT / 2 + 500


@pytest.mark.parametrize("point", ["batch 2", "sync:_drop_stale"])
def test_killed_while_a_new_generation_is_built(tmp_path, clean, point):
    folder, old = tmp_path / "index", WordEncoder("old", DIMENSION)
    with Index.from_catalog(wanted(), folder, encoder=old) as index:
        before = answers(index)
    assert run_python(CHILD, folder, "words", COUNT, point)[0] == -signal.SIGKILL
    if point.startswith("batch"):
        with Index.open(folder, encoder=old) as index:
            assert answers(index) == before
            assert verify_index(index) == ["the last sync was interrupted: sync again"]
    else:
        with pytest.raises(EncoderMismatchError):
            Index.open(folder, encoder=old)
    check_repaired(folder, clean, WordEncoder(dimension=DIMENSION))


def test_killed_while_elements_are_deleted_and_updated(tmp_path, clean):
    assert run_python(CHILD, tmp_path / "index", "words", 600, "")[1] == "go\ndone"
    assert run_python(CHILD, tmp_path / "index", "words", 5, "sync:write_manifest")[0] == -signal.SIGKILL
    check_repaired(tmp_path / "index", clean, WordEncoder(dimension=DIMENSION))


def test_killed_before_anything_was_written(tmp_path, clean):
    folder, encoder = tmp_path / "index", WordEncoder(dimension=DIMENSION)
    folder.mkdir()
    (folder / "chroma.sqlite3").touch()
    with pytest.raises(IndexNotFoundError, match="make one with"):
        Index.open(folder, encoder=encoder)
    check_repaired(folder, clean, encoder)


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.8])
def test_killed_at_any_time(tmp_path, clean, seconds):
    child = start_python(CHILD, tmp_path / "index", "words", COUNT, "")
    try:
        assert child.stdout.readline() == "go\n"
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=PATIENCE)
    check_repaired(tmp_path / "index", clean, WordEncoder(dimension=DIMENSION))


def test_killed_twice(tmp_path, clean):
    for point in ("batch 3", "batch 2"):
        assert run_python(CHILD, tmp_path / "index", "words", COUNT, point)[0] == -signal.SIGKILL
    encoder = WordEncoder(dimension=DIMENSION)
    check_repaired(tmp_path / "index", clean, encoder)
    assert encoder.documents < COUNT
