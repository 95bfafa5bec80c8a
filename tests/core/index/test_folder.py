"""The folder of an embedded index: its lock, and damage that would crash Chroma."""

import json
import os
import tempfile
import threading
import time
from pathlib import Path

import chromadb
import pytest

from catalogs import small_catalog
from encoders import WordEncoder
from folders import use
from multiretriever.core import Catalog, Index, IndexNotFoundError, MultiRetriever, Step, StoreError
from multiretriever.core.errors import IndexDamagedError, IndexLockedError
from processes import PATIENCE, run_python, start_python

needs_posix = pytest.mark.skipif(os.name != "posix", reason="links, forks and permissions of POSIX")


def test_a_second_process_is_turned_away_at_once_with_the_pid_of_the_first(folder):
    with Index.open(folder, encoder=WordEncoder()) as index:
        start = time.monotonic()
        kind, message = use(folder)
        assert time.monotonic() - start < PATIENCE / 2
        assert kind == "IndexLockedError"
        assert f"pid {os.getpid()}" in message
        assert "chroma run" in message
        assert len(index.catalog()) == len(small_catalog())
    assert use(folder)[0] == "ok"


def test_the_lock_of_a_process_that_was_killed_is_free(folder):
    child = start_python(
        "import sys, time\nfrom encoders import WordEncoder\nfrom multiretriever.core import Index\n"
        "index = Index.open(sys.argv[1], encoder=WordEncoder())\nprint('open', flush=True)\ntime.sleep(600)",
        folder,
    )
    try:
        assert child.stdout.readline() == "open\n"
        with pytest.raises(IndexLockedError, match=f"pid {child.pid}"):
            Index.open(folder, encoder=WordEncoder())
    finally:
        child.kill()
        child.communicate()
    Index.open(folder, encoder=WordEncoder()).close()


@needs_posix
def test_one_process_shares_a_folder_whatever_it_is_called(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    (folder.parent / "link").symlink_to(folder)
    indexes = [
        Index.open(place, encoder=WordEncoder()) for place in (folder, str(folder), "index", Path("link"), "./link/../index")
    ]
    indexes[0].sync(Catalog([*small_catalog(), Step(name="brand_new")]))
    for index in indexes:
        assert MultiRetriever(index).retrieve("brand new", "step")[0].id == "brand_new"
        index.close()


def test_another_thread_may_close(folder):
    opened = []
    thread = threading.Thread(target=lambda: opened.append(Index.open(folder, encoder=WordEncoder())))
    thread.start()
    thread.join(PATIENCE)
    opened[0].close()
    Index.open(folder, encoder=WordEncoder()).close()
    assert use(folder)[0] == "ok"


@needs_posix
def test_a_forked_process_is_told_to_open_anew_and_leaves_the_lock_alone(folder):
    code = """
import os, sys
from encoders import WordEncoder
from multiretriever.core import Index, StoreError
index = Index.open(sys.argv[1], encoder=WordEncoder())
child = os.fork()
if child == 0:
    try:
        index.catalog()
    except StoreError as error:
        sys.stdout.write(str(error))
        sys.stdout.flush()
    index.close()
    os._exit(0)
os.waitpid(child, 0)
print("|", len(index.catalog()), index._store._folder._lock.is_locked)
index.close()
"""
    status, out, err = run_python(code, folder)
    assert status == 0, err
    assert "before a fork" in out
    assert out.endswith(f"| {len(small_catalog())} True")


def test_another_chroma_client_in_this_process(folder):
    client = chromadb.PersistentClient(str(folder))
    try:
        with pytest.raises(StoreError, match="another Chroma client") as caught:
            Index.open(folder, encoder=WordEncoder())
        assert not isinstance(caught.value, IndexDamagedError)
        assert client.list_collections()
    finally:
        client.close()
    Index.open(folder, encoder=WordEncoder()).close()


def test_there_is_no_index(tmp_path):
    for place in (tmp_path / "none", tmp_path):
        with pytest.raises(IndexNotFoundError, match="multiretriever index"):
            Index.open(place, encoder=WordEncoder())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [False, True])
def test_a_folder_with_other_files_is_refused_and_left_untouched(tmp_path, create):
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "sub").mkdir()
    with pytest.raises(StoreError, match=r"other files|no index"):
        Index.open(tmp_path, encoder=WordEncoder(), create=create)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sub", "thesis.txt"]
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        for create in (False, True):
            with pytest.raises(StoreError):
                Index.open(place, encoder=WordEncoder(), create=create)
    assert (tmp_path / "file").read_text() == "x"


READ_ONLY = """
import json, os, sys
from pathlib import Path
from encoders import WordEncoder
from multiretriever.core import Index, MultiRetrieverError
import chromadb, filelock
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
found = []
for name in ("index", "empty", "closed/index", "new/index"):
    for create in (False, True):
        try:
            Index.open(Path(sys.argv[1]) / name, encoder=WordEncoder(), create=create)
            found.append("ok")
        except MultiRetrieverError as error:
            found.append(type(error).__name__)
print(json.dumps(found))
"""


@needs_posix
def test_folders_that_may_not_be_written_or_read():
    # Not below tmp_path, which other users may not enter.
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        Index.from_catalog(small_catalog(), root / "index", encoder=WordEncoder()).close()
        (root / "empty").mkdir()
        (root / "closed").mkdir()
        try:
            for path in (root, *root.rglob("*")):
                path.chmod(0o555 if path.is_dir() else 0o444)
            (root / "closed").chmod(0)
            status, out, err = run_python(READ_ONLY, root)
        finally:
            for path in (root, *[path for path in root.rglob("*") if path.is_dir()]):
                path.chmod(0o755)
    assert status == 0, err
    not_found = "IndexNotFoundError"
    assert json.loads(out) == [
        "StoreError",
        "StoreError",
        not_found,
        "StoreError",
        "StoreError",
        "StoreError",
        not_found,
        "StoreError",
    ]
