"""What verify finds. A count proves nothing: Chroma counts rows whose vectors are lost."""

import shutil

import chromadb
import numpy as np
import pytest

from catalogs import make_steps, small_catalog
from encoders import WordEncoder
from indexes import collection_of, store_of
from multiretriever.core import (
    Catalog,
    ElementType,
    Index,
    IndexNotFoundError,
    Step,
    register_element_type,
    unregister_element_type,
)
from multiretriever.core.index.health import index_status, verify_index
from multiretriever.core.index.store import chroma_settings


def test_a_sound_index(memory_index, catalog):
    assert verify_index(memory_index) == []
    status = index_status(memory_index)
    assert status.counts == catalog.counts
    assert status.filters["field"] == ("scope", "table", "data_type", "reference")
    assert (status.encoder, status.dimension, status.revision, status.complete) == ("words", 64, 1, True)
    assert status.to_dict()["location"] == "memory"


def test_an_empty_index_cannot_be_verified(encoder):
    with Index.open(None, encoder=encoder) as index:
        for action in (verify_index, index_status):
            with pytest.raises(IndexNotFoundError):
                action(index)


def test_lost_vectors(large_folder, tmp_path):
    folder = shutil.copytree(large_folder, tmp_path / "index")
    (written,) = folder.glob("*/index_metadata.pickle")
    shutil.rmtree(written.parent)
    # As after an interrupted sync, when there are no checksums to tell.
    (folder / "checksums.json").unlink()
    with Index.open(folder, encoder=WordEncoder()) as index:
        assert collection_of(index, "step").count() == index.manifest.types["step"].count
        problems = verify_index(index)
    assert problems
    assert all(problem.startswith("step: ") for problem in problems)


def test_vectors_that_the_search_does_not_reach():
    # Measured on Chroma 1.5.9: of vectors that are all equally far from each other, the graph reaches a third.
    steps = [Step(name=f"n{number} word") for number in range(700)]
    with Index.from_catalog(Catalog(steps), encoder=WordEncoder(dimension=512)) as index:
        (problem,) = verify_index(index)
    assert "not found by their own vector" in problem


def test_foreign_vectors(memory_index):
    ids = ["slack.post_message", "core.create_record"]
    vectors = WordEncoder("other")._encode(["something", "entirely different"])
    collection_of(memory_index, "step").update(ids=ids[:1], embeddings=vectors[:1])
    (problem,) = verify_index(memory_index)
    assert "1 of 5" in problem
    assert "'slack.post_message'" in problem
    collection_of(memory_index, "step").update(ids=ids, embeddings=vectors)
    assert "2 of 5" in verify_index(memory_index)[0]


def test_all_vectors_of_another_model(memory_index):
    collection = collection_of(memory_index, "table")
    ids = collection.get()["ids"]
    collection.update(ids=ids, embeddings=np.random.default_rng(0).normal(size=(len(ids), 64)))
    problems = verify_index(memory_index)
    assert any("table: the vectors of 3 of 3" in problem for problem in problems)


def test_rows_that_went_and_rows_that_came(memory_index):
    collection_of(memory_index, "field").delete(ids=["core.incident.priority"])
    assert verify_index(memory_index) == ["field: 2 elements can be read, the manifest says 3"]
    collection_of(memory_index, "step").add(ids=["foreign"], embeddings=[[1.0] * 64])
    assert any(problem.startswith("step: a step of the index cannot be read back") for problem in verify_index(memory_index))


def test_a_lost_collection(memory_index):
    store_of(memory_index).drop(memory_index.entry("step").collection)
    (problem,) = verify_index(memory_index)
    assert "step: " in problem
    assert "lost a collection" in problem


def test_an_interrupted_sync(memory_index):
    class Failing(WordEncoder):
        def encode_documents(self, texts):
            raise RuntimeError

    memory_index.encoder = Failing()
    with pytest.raises(RuntimeError):
        memory_index.sync(Catalog([*small_catalog(), Step(name="more")]))
    memory_index.encoder = WordEncoder()
    assert verify_index(memory_index) == ["the last sync was interrupted: sync again"]
    assert index_status(memory_index).complete is False
    memory_index.sync(small_catalog())
    assert verify_index(memory_index) == []


def test_a_type_that_is_not_known_here(encoder):
    class Form(Step):
        element_type: str = "form"

    register_element_type(ElementType("form", Form, "forms"))
    try:
        index = Index.from_catalog(Catalog([Form(name="a"), Step(name="b")]), encoder=encoder)
    finally:
        unregister_element_type("form")
    with index:
        assert verify_index(index) == ["form: the element type is not registered in this process"]


def test_a_sample_is_enough_to_find_what_is_wrong_with_many(tmp_path):
    with Index.from_catalog(Catalog(make_steps(500)), tmp_path / "index", encoder=WordEncoder()) as index:
        assert verify_index(index, sample=5) == []
        name = index.entry("step").collection
    client = chromadb.PersistentClient(str(tmp_path / "index"), settings=chroma_settings())
    collection = client.get_collection(name, embedding_function=None)
    ids = collection.get()["ids"]
    collection.update(ids=ids, embeddings=np.random.default_rng(0).normal(size=(len(ids), 64)))
    client.close()
    with Index.open(tmp_path / "index", encoder=WordEncoder()) as index:
        assert verify_index(index, sample=5)
