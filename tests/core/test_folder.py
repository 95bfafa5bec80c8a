"""The folder of an embedded index: its lock, and damage that would crash Chroma."""

import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import chromadb
import pytest

from catalogs import small_catalog
from encoders import WordEncoder
from multiretriever.core import (
    Catalog,
    Index,
    IndexDamagedError,
    IndexLockedError,
    IndexNotFoundError,
    MultiRetriever,
    Step,
    StoreError,
)
from multiretriever.core.store import _settings
from processes import PATIENCE, run_python, start_python

needs_posix = pytest.mark.skipif(os.name != "posix", reason="links, forks and permissions of POSIX")

# Opens, reads and queries each folder, and tells what came of it: a line each.
USE = """
import json, sys
from encoders import WordEncoder
from multiretriever.core import Index, MultiRetriever, MultiRetrieverError
for folder in sys.argv[1:]:
    try:
        with Index.open(folder, encoder=WordEncoder()) as index:
            hits = MultiRetriever(index, mode="dense").retrieve("number7", "step", k=3)
            print(json.dumps(["ok", [hit.id for hit in hits]]), flush=True)
    except MultiRetrieverError as error:
        print(json.dumps([type(error).__name__, str(error)]), flush=True)
"""


def use_all(folders):
    """Uses folders in another process, which must survive them; returns kind and message of each."""
    status, out, err = run_python(USE, *folders)
    assert status == 0, (out, err)
    return [json.loads(line) for line in out.splitlines()]


def use(folder):
    (found,) = use_all([folder])
    return found


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "index"
    Index.from_catalog(small_catalog(), path, encoder=WordEncoder()).close()
    return path


@pytest.fixture
def large(large_folder, tmp_path):
    return Path(shutil.copytree(large_folder, tmp_path / "large"))


def vector_file(folder, name="data_level0.bin"):
    (written,) = folder.glob("*/index_metadata.pickle")
    return written.parent / name


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


def test_an_intact_large_index_survives_being_opened_again_and_again(large):
    for _ in range(3):
        with Index.open(large, encoder=WordEncoder()) as index:
            assert MultiRetriever(index, dense_weight=0.5).retrieve("number7", "step", k=1)[0].id == "core.step_7"


def copies(folder, count):
    return [Path(shutil.copytree(folder, folder.with_name(f"copy{number}"))) for number in range(count)]


def test_a_damaged_database(folder):
    contents = [b"", b"SQLite format 3\0" + os.urandom(4_000), b"nonsense" * 1_000, b"SQL"]
    folders = copies(folder, len(contents))
    for path, content in zip(folders, contents, strict=True):
        (path / "chroma.sqlite3").write_bytes(content)
    for path, (kind, message) in zip(folders, use_all(folders), strict=True):
        assert kind == "IndexDamagedError"
        assert str(path) in message
        assert "build it again" in message


def test_a_database_that_is_damaged_inside(folder):
    folders = copies(folder, 4)
    for at, path in enumerate(folders):
        data = bytearray((path / "chroma.sqlite3").read_bytes())
        begin = len(data) * at // 4 // 4_096 * 4_096 + 100
        data[begin : begin + 100_000] = os.urandom(len(data[begin : begin + 100_000]))
        (path / "chroma.sqlite3").write_bytes(data)
    for kind, message in use_all(folders):
        assert kind in ("IndexDamagedError", "StoreError", "IndexNotFoundError", "ok"), message


FILES = ["data_level0.bin", "header.bin", "length.bin", "link_lists.bin", "index_metadata.pickle"]


def test_damaged_vector_files(large):
    folders = copies(large, 7)
    for path, name in zip(folders, FILES, strict=False):
        file = vector_file(path, name)
        file.write_bytes(os.urandom(max(100, file.stat().st_size)))
    os.truncate(vector_file(folders[5]), 1_000)
    shutil.rmtree(vector_file(folders[6]).parent)
    found = use_all(folders)
    assert {kind for kind, _ in found} == {"IndexDamagedError"}
    for name, (_, message) in zip(FILES, found, strict=False):
        assert name in message
    assert "missing" in found[6][1]


def test_a_deleted_vector_folder_of_a_small_index_is_made_anew(folder):
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    assert use(folder)[0] == "ok"


def test_damaged_checksums(folder):
    contents = [b"", b"{", b"[1]", b"5", b'{"a": 1}', b'{"a/b": [1, 2]}', b"\xff"]
    folders = copies(folder, len(contents))
    for path, content in zip(folders, contents, strict=True):
        (path / "checksums.json").write_bytes(content)
    assert [kind for kind, _ in use_all(folders)] == ["IndexDamagedError"] * len(contents)


def test_damage_is_told_by_this_process_too_and_a_new_index_can_take_the_place(folder):
    (folder / "chroma.sqlite3").write_bytes(b"SQLite format 3\0" + os.urandom(4_000))
    with pytest.raises(IndexDamagedError):
        Index.open(folder, encoder=WordEncoder())
    shutil.rmtree(folder)
    with Index.from_catalog(small_catalog(), folder, encoder=WordEncoder()) as index:
        assert len(index.catalog()) == len(small_catalog())


def by_hand(folder):
    return chromadb.PersistentClient(str(folder), settings=_settings())


def test_a_missing_manifest(folder):
    client = by_hand(folder)
    client.delete_collection("multiretriever-manifest")
    client.close()
    assert use(folder)[0] == "IndexNotFoundError"
    with Index.open(folder, encoder=WordEncoder(), create=True) as index:
        assert index.sync(small_catalog()).total("unchanged") == len(small_catalog())


@pytest.mark.parametrize("document", ["", "{", "[]", '{"encoder": 5}', "null"])
def test_a_damaged_manifest(folder, document):
    client = by_hand(folder)
    client.get_collection("multiretriever-manifest", embedding_function=None).update(
        ids=["manifest"], embeddings=[[1.0]], documents=[document]
    )
    client.close()
    with pytest.raises(IndexDamagedError, match="manifest"):
        Index.open(folder, encoder=WordEncoder())


def test_a_manifest_of_another_format(folder):
    client = by_hand(folder)
    collection = client.get_collection("multiretriever-manifest", embedding_function=None)
    manifest = json.loads(collection.get(ids=["manifest"])["documents"][0])
    collection.update(ids=["manifest"], embeddings=[[1.0]], documents=[json.dumps({**manifest, "format": 99})])
    client.close()
    with pytest.raises(IndexDamagedError, match="99"):
        Index.open(folder, encoder=WordEncoder())


def test_a_lost_collection(folder):
    client = by_hand(folder)
    (name,) = [item.name for item in client.list_collections() if "-step-" in item.name]
    client.delete_collection(name)
    client.close()
    with Index.open(folder, encoder=WordEncoder()) as index:
        with pytest.raises(IndexNotFoundError, match="lost a collection"):
            MultiRetriever(index).retrieve("x", "step")
        assert MultiRetriever(index).retrieve("incident", "table")
        index.sync(small_catalog())
        assert MultiRetriever(index).retrieve("send a message", "step")[0].id == "slack.post_message"


def test_rows_that_were_not_written_by_this_package(folder):
    client = by_hand(folder)
    (name,) = [item.name for item in client.list_collections() if "-table-" in item.name]
    client.get_collection(name, embedding_function=None).add(ids=["foreign"], embeddings=[[1.0] * 64], documents=["foreign"])
    client.close()
    with Index.open(folder, encoder=WordEncoder()) as index:
        with pytest.raises(IndexDamagedError, match="a table of the index"):
            index.catalog()
        index.sync(small_catalog())
        assert len(index.catalog()) == len(small_catalog())


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
