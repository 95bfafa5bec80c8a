"""Generations of an index: built beside the old ones, swapped, dropped, and never in the way of readers or of other indexes."""

import threading
import time

import pytest

from catalogs import make_steps
from encoders import WordEncoder
from indexes import by_id, collections, store_of
from multiretriever.core import (
    Catalog,
    ElementType,
    EncoderMismatchError,
    Index,
    MultiRetriever,
    Step,
    Table,
    register_element_type,
    unregister_element_type,
)
from multiretriever.core.index.health import verify_index


class SlowEncoder(WordEncoder):
    """Waits in the middle of a sync until it is told to go on."""

    def __init__(self, name):
        super().__init__(name)
        self.reached, self.go = threading.Event(), threading.Event()

    def encode_documents(self, texts):
        self.reached.set()
        assert self.go.wait(60)
        return super().encode_documents(texts)


def test_a_new_generation_is_built_beside_the_old_which_answers(tmp_path, catalog):
    location = tmp_path / "index"
    old = Index.from_catalog(catalog, location, encoder=WordEncoder("old"))
    slow = SlowEncoder("new")
    new = Index.open(location, encoder=slow, create=True)
    before = collections(old)
    reports = []
    thread = threading.Thread(target=lambda: reports.append(new.sync(catalog)))
    thread.start()
    try:
        assert slow.reached.wait(60)
        assert set(before) < set(collections(old))
        store_of(old).manifests.clear()  # which are believed for a second
        assert old.manifest.complete is False
        assert MultiRetriever(old).retrieve("send a message", "step")[0].id == "slack.post_message"
        with pytest.raises(EncoderMismatchError):
            _ = new.manifest
    finally:
        slow.go.set()
        thread.join(60)
    assert set(reports[0].rebuilt) == set(catalog.types)
    assert slow.documents == len(catalog)
    assert MultiRetriever(new).retrieve("send a message", "step")[0].id == "slack.post_message"
    with pytest.raises(EncoderMismatchError):
        MultiRetriever(old).retrieve("send a message", "step")
    assert len(collections(new)) == len(before)
    assert set(collections(new)) & set(before) == {"multiretriever-manifest"}
    assert verify_index(new) == []
    old.close()
    new.close()


def test_a_new_text_rule_builds_its_type_anew(index, catalog):
    index.sync(catalog)
    index.encoder.documents = 0
    rule = ElementType("table", Table, "tables", text=lambda table: f"table {table.name}", filters=("extends",), text_version="2")
    register_element_type(rule, replace=True)
    try:
        report = index.sync(catalog)
    finally:
        unregister_element_type("table")
    assert report.rebuilt == ("table",)
    assert index.encoder.documents == len(catalog.of("table"))
    assert len(collections(index)) == 1 + len(catalog.types)


def test_other_indexes_on_the_same_store_are_not_touched(tmp_path, catalog, encoder):
    location = tmp_path / "index"
    names = ("one", "one_more", "oneM")
    opened = [Index.from_catalog(catalog, location, encoder=encoder, name=name) for name in names]
    before = collections(opened[0])
    opened[0].sync(Catalog(catalog.of("step")), allow_shrink=True)
    with Index.open(location, encoder=WordEncoder("other"), name="one", create=True) as rebuilt:
        rebuilt.sync(Catalog(catalog.of("step")))
        after = collections(rebuilt)
    assert [name for name in after if not name.startswith("one-")] == [name for name in before if not name.startswith("one-")]
    for index in opened[1:]:
        assert by_id(index.catalog()) == by_id(catalog)
        assert verify_index(index) == []
    for index in opened:
        index.close()


def test_collections_of_others_are_not_touched(tmp_path, catalog, encoder):
    index = Index.from_catalog(catalog, tmp_path / "index", encoder=encoder)
    foreign = store_of(index)._client.create_collection("multiretriever-notes", embedding_function=None)
    foreign.add(ids=["a"], embeddings=[[1.0, 2.0]])
    index.sync(catalog)
    assert foreign.count() == 1
    index.close()


def test_syncs_of_several_threads_follow_each_other(tmp_path, encoder):
    catalogs = [Catalog(make_steps(300, prefix=prefix)) for prefix in "abcd"]
    with Index.open(tmp_path / "index", encoder=encoder, create=True) as index:
        threads = [threading.Thread(target=index.sync, args=(catalog,), kwargs={"allow_shrink": True}) for catalog in catalogs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert index.manifest.revision == 4
        assert len({item.name[0] for item in index.catalog()}) == 1
        assert len(index.catalog()) == 300
        assert verify_index(index) == []


def test_readers_never_see_a_gap_while_generations_change(tmp_path, catalog):
    with Index.from_catalog(catalog, tmp_path / "index", encoder=WordEncoder()) as index:
        retriever, errors, stop = MultiRetriever(index), [], threading.Event()

        def read():
            while not stop.is_set():
                try:
                    assert retriever.retrieve("send a message", "step")[0].id == "slack.post_message"
                except Exception as error:
                    errors.append(error)
                    return

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        try:
            for version in range(5):
                register_element_type(
                    ElementType("step", Step, "steps", filters=("kind",), text_version=f"v{version}"), replace=True
                )
                index.sync(catalog)
        finally:
            unregister_element_type("step")
            stop.set()
            for reader in readers:
                reader.join(60)
    assert errors == []


class Dropping:
    """A collection that Chroma is about to have dropped: what is left of it is nothing."""

    def get(self, **options):
        return {"ids": [], "metadatas": [], "documents": [], "embeddings": []}

    def query(self, query_embeddings, **options):
        return {"ids": [[] for _ in query_embeddings], "distances": [[] for _ in query_embeddings]}


@pytest.mark.parametrize("what", ["search", "filtered", "vectors", "elements", "all_elements", "lexical"])
def test_what_is_read_of_a_generation_that_is_being_dropped_is_read_anew(tmp_path, catalog, monkeypatch, what):
    with Index.from_catalog(catalog, tmp_path / "index", encoder=WordEncoder()) as index:
        vector, post = index.encoder.encode_queries(["send a message"]), ["slack.post_message"]
        read = {
            "search": lambda: [element_id for element_id, _ in index.search("step", vector, 2, {})[0]][:1],
            "filtered": lambda: [element_id for element_id, _ in index.search("step", vector, 1, {"kind": "action"})[0]],
            "vectors": lambda: list(index.vectors("step", post)),
            "elements": lambda: list(index.elements("step", post)),
            "all_elements": lambda: [item.id for item in index.all_elements("step") if item.id in post],
            "lexical": lambda: [element_id for element_id in index.lexical("step").ids if element_id in post],
        }[what]
        assert read() == post
        store, old, opened = store_of(index), index.entry("step").collection, store_of(index).collection
        try:
            register_element_type(ElementType("step", Step, "steps", filters=("kind",), text_version="next"), replace=True)

            def collection(name, **options):
                if name == old and not options:
                    monkeypatch.setattr(store, "collection", opened)
                    index.sync(catalog)
                    return Dropping()
                return opened(name, **options)

            monkeypatch.setattr(store, "collection", collection)
            index._lexical.clear()
            assert read() == post
            assert index.entry("step").collection != old
        finally:
            unregister_element_type("step")


def test_a_swap_between_two_reads_is_noticed(index, catalog):
    index.sync(catalog)
    retriever = MultiRetriever(index)
    old = index.manifest
    register_element_type(ElementType("step", Step, "steps", filters=("kind",), text_version="2"), replace=True)
    try:
        index.sync(catalog)
        # As in another process that read the manifest just before.
        store_of(index).manifests["multiretriever"] = (time.monotonic(), old)
        assert retriever.retrieve("send a message", "step")[0].id == "slack.post_message"
        store_of(index).manifests["multiretriever"] = (time.monotonic(), old)
        assert len(index.catalog()) == len(catalog)
    finally:
        unregister_element_type("step")
