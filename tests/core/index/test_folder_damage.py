"""Damage to the folder of an embedded index, some of which would crash Chroma."""

import json
import os
import shutil
from pathlib import Path

import chromadb
import pytest

from catalogs import small_catalog
from encoders import WordEncoder
from folders import use, use_all
from multiretriever.core import Index, IndexNotFoundError, MultiRetriever
from multiretriever.core.errors import IndexDamagedError
from multiretriever.core.index.store import chroma_settings


@pytest.fixture
def large(large_folder, tmp_path):
    return Path(shutil.copytree(large_folder, tmp_path / "large"))


def vector_file(folder, name="data_level0.bin"):
    (written,) = folder.glob("*/index_metadata.pickle")
    return written.parent / name


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
    return chromadb.PersistentClient(str(folder), settings=chroma_settings())


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
