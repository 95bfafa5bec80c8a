import chromadb
import numpy as np
import pytest

from catalogs import make_steps, small_catalog
from encoders import WordEncoder
from indexes import by_id, collection_of, collections, store_of
from multiretriever.core import (
    Catalog,
    EncoderError,
    EncoderMismatchError,
    Index,
    IndexNotFoundError,
    MultiRetriever,
    ParameterError,
    Step,
    StoreError,
    Table,
)
from multiretriever.core.errors import ElementTypeError, ShrunkenCatalogError
from multiretriever.core.index.health import index_status, verify_index
from multiretriever.core.index.sync import TypeReport


def changed(elements, position, **values):
    return Catalog([item.model_copy(update=values) if at == position else item for at, item in enumerate(elements)])


def test_everything_comes_back_equal(index, catalog):
    report = index.sync(catalog)
    assert report.total("embedded") == len(catalog) == index.encoder.documents
    assert report.rebuilt == ()
    assert by_id(index.catalog()) == by_id(catalog)
    assert index.catalog().types == catalog.types
    assert verify_index(index) == []
    assert index_status(index).counts == catalog.counts


def test_a_second_sync_embeds_nothing(index, catalog):
    index.sync(catalog)
    index.encoder.documents = 0
    report = index.sync(small_catalog())
    assert index.encoder.documents == 0
    assert report.total("unchanged") == len(catalog)
    assert report.total("embedded") == report.total("updated") == report.total("deleted") == 0
    assert report.revision == index.manifest.revision == 2


def test_only_what_changed_is_embedded(index):
    steps = make_steps(20)
    index.sync(Catalog(steps))
    index.encoder.documents = 0
    catalog = changed([*steps, *make_steps(2, prefix="new")], 3, description="rotate the certificate")
    report = index.sync(catalog)
    assert report.types["step"] == TypeReport(embedded=3, unchanged=19)
    assert index.encoder.documents == 3
    assert MultiRetriever(index).retrieve("rotate certificate", "step")[0].id == steps[3].id
    assert by_id(index.catalog()) == by_id(catalog)


def test_a_change_of_metadata_embeds_nothing_and_removes_old_keys(index):
    steps = [step.model_copy(update={"metadata": {"owner": "kim", "cost": 3}}) for step in make_steps(5)]
    index.sync(Catalog(steps))
    index.encoder.documents = 0
    report = index.sync(changed(steps, 0, metadata={"team": "ops"}))
    assert report.types["step"] == TypeReport(updated=1, unchanged=4)
    assert index.encoder.documents == 0
    retriever = MultiRetriever(index)
    assert index.elements("step", [steps[0].id])[steps[0].id].metadata == {"team": "ops"}
    for mode in ("dense", "lexical"):
        assert len(retriever.retrieve("number0 number1 number2 number3 number4", "step", where={"owner": "kim"}, mode=mode)) == 4
        assert [hit.id for hit in retriever.retrieve("number0", "step", where={"team": "ops"}, mode=mode)] == [steps[0].id]
    # Chroma merges metadata, so that the old key would survive.
    stored = collection_of(index, "step").get(ids=[steps[0].id])["metadatas"][0]
    assert {key for key in stored if not key.startswith("_")} == {"team", "scope", "kind"}
    assert index.sync(changed(steps, 0, metadata={"team": "ops"})).types["step"] == TypeReport(unchanged=5)


def test_a_change_of_type_of_a_value_is_a_change(index):
    for value in (1, True, 1.0, "1"):
        report = index.sync(Catalog([Step(name="a", metadata={"n": value})]))
        assert report.types["step"].unchanged == 0
        assert type(index.catalog().get("step", "a").metadata["n"]) is type(value)


def test_what_went_is_deleted_everywhere(index):
    steps = make_steps(10)
    index.sync(Catalog(steps))
    retriever = MultiRetriever(index)
    assert retriever.retrieve("number9", "step", mode="lexical")
    report = index.sync(Catalog(steps[:8]))
    assert report.types["step"] == TypeReport(deleted=2, unchanged=8)
    assert retriever.retrieve("number9", "step", mode="lexical") == []
    assert steps[9].id not in {hit.id for hit in retriever.retrieve("number9", "step", k=50)}
    assert len(index.catalog()) == 8
    assert verify_index(index) == []


def test_a_type_that_went_is_dropped(index, catalog):
    index.sync(catalog)
    report = index.sync(Catalog(catalog.of("step")), allow_shrink=True)
    assert report.types["field"] == TypeReport(deleted=3)
    assert set(index.manifest.types) == {"step"}
    assert len(collections(index)) == 2
    with pytest.raises(ElementTypeError, match="holds no elements of type 'field'"):
        MultiRetriever(index).retrieve("x", "field")


def test_a_shrunken_catalog_is_refused_and_nothing_changes(index):
    steps = make_steps(10)
    index.sync(Catalog(steps))
    for rest in (steps[:4], [], [Table(name="t")]):
        with pytest.raises(ShrunkenCatalogError, match="nothing was changed"):
            index.sync(Catalog(rest))
        assert len(index.catalog()) == 10
    assert index.manifest.revision == 1
    assert index.sync(Catalog(steps[:5])).types["step"].deleted == 5
    assert index.sync(Catalog(steps[:1]), allow_shrink=True).types["step"].deleted == 4
    index.sync(Catalog(), allow_shrink=True)
    assert len(index.catalog()) == 0
    assert len(MultiRetriever(index).ground("x")) == 0


def test_an_empty_catalog_is_refused_at_first_too(index):
    with pytest.raises(ShrunkenCatalogError):
        index.sync(Catalog())
    with pytest.raises(IndexNotFoundError, match="sync a catalog"):
        _ = index.manifest


@pytest.mark.parametrize("catalog", [None, [Step(name="a")], "catalog.yaml", {}])
def test_only_catalogs_are_synced(index, catalog):
    with pytest.raises(ParameterError, match="Catalog"):
        index.sync(catalog)
    assert collections(index) == []


def test_another_encoder_is_refused_by_name(tmp_path, catalog):
    first, second = WordEncoder("first"), WordEncoder("second")
    Index.from_catalog(catalog, tmp_path / "index", encoder=first).close()
    with pytest.raises(EncoderMismatchError) as caught:
        Index.open(tmp_path / "index", encoder=second)
    for words in ("'first'", "'second'", first.fingerprint, second.fingerprint):
        assert words in str(caught.value)
    # The lock was given back.
    with Index.open(tmp_path / "index", encoder=second, create=True) as index:
        with pytest.raises(EncoderMismatchError):
            MultiRetriever(index).retrieve("x", "step")
    with Index.open(tmp_path / "index", encoder=first) as index:
        assert len(index.catalog()) == len(catalog)


def test_more_elements_than_chroma_takes_at_once(tmp_path, encoder):
    steps = make_steps(5_500)
    with Index.from_catalog(Catalog(steps), tmp_path / "index", encoder=encoder) as index:
        assert by_id(index.catalog()) == by_id(steps)
        assert verify_index(index) == []
        retriever = MultiRetriever(index)
        assert retriever.retrieve("number5444", "step", mode="lexical")[0].id == "core.step_5444"
        report = index.sync(Catalog(steps[:1_500]), allow_shrink=True)
        assert report.types["step"] == TypeReport(deleted=4_000, unchanged=1_500)
        # Updates go in several writes too.
        relabelled = [item.model_copy(update={"metadata": {"seen": True}}) for item in steps[:1_500]]
        assert index.sync(Catalog(relabelled)).types["step"] == TypeReport(updated=1_500)
        assert len(retriever.retrieve("look up", "step", k=2_000, mode="lexical", where={"seen": True})) == 215
    with Index.open(tmp_path / "index", encoder=encoder) as index:
        assert verify_index(index) == []


def test_more_ids_than_sqlite_takes_at_once(index):
    index.sync(Catalog(make_steps(3)))
    ids = [f"absent{at}" for at in range(40_000)] + ["core.step_1"]
    assert set(index.elements("step", ids)) == {"core.step_1"}
    assert set(index.vectors("step", ids)) == {"core.step_1"}
    assert index.elements("step", []) == index.vectors("step", []) == {}


ODD_IDS = [
    "a b",
    "a\nb",
    "\"q'",
    "🎉",
    "é",
    "e\u0301",
    "x" * 512,
    "a\0b",
    "../../etc",
    "$eq",
    "{x}",
    "%s",
    "\u200b",
    "A",
    "a",
    "NULL",
    "1",
]


def test_odd_ids(index):
    steps = [Step(id=name, name="thing", description=f"word{at}") for at, name in enumerate(ODD_IDS)]
    index.sync(Catalog(steps))
    assert {item.id for item in index.catalog()} == set(ODD_IDS)
    retriever = MultiRetriever(index)
    for at, name in enumerate(ODD_IDS):
        assert retriever.retrieve(f"word{at}", "step", k=1, mode="hybrid")[0].id == name
    assert index.sync(Catalog(steps)).types["step"] == TypeReport(unchanged=len(steps))
    index.sync(Catalog(steps[::2]))
    assert {item.id for item in index.catalog()} == set(ODD_IDS[::2])


def test_an_element_without_words_is_embedded_by_its_id(index):
    index.sync(Catalog([Step(id="---", name="___"), Step(name="b")]))
    assert index.catalog().get("step", "---").name == "___"
    assert len(MultiRetriever(index).retrieve("b", "step")) == 2
    assert verify_index(index) == []


def test_long_and_strange_texts(index):
    texts = ["x" * 200_000, "\0", "'; DROP TABLE embeddings; --", "🎉" * 100, "\u202egnol"]
    steps = [Step(name=f"n{at}", description=text) for at, text in enumerate(texts)]
    index.sync(Catalog(steps))
    assert by_id(index.catalog()) == by_id(steps)
    assert index.sync(Catalog(steps)).types["step"] == TypeReport(unchanged=len(steps))


@pytest.mark.parametrize("vectors", [np.full((2, 64), np.nan), np.zeros((2, 64)), np.ones((1, 64)), np.ones((2, 65)), None])
def test_vectors_that_cannot_be_searched_are_not_written(index, vectors):
    class Broken(WordEncoder):
        def encode_documents(self, texts):
            return vectors

    index.encoder = Broken()
    with pytest.raises(EncoderError, match="'words'"):
        index.sync(Catalog(make_steps(2)))
    index.encoder = WordEncoder()
    assert index.sync(Catalog(make_steps(2))).types["step"] == TypeReport(embedded=2)


def test_a_failing_encoder_leaves_the_old_catalog_readable(index):
    class Failing(WordEncoder):
        def encode_documents(self, texts):
            raise RuntimeError("out of memory")

    index.sync(Catalog(make_steps(4)))
    good, index.encoder = index.encoder, Failing()
    with pytest.raises(RuntimeError):
        index.sync(Catalog(make_steps(6)))
    index.encoder = good
    assert MultiRetriever(index).retrieve("number3", "step")[0].id == "core.step_3"
    assert any("interrupted" in problem for problem in verify_index(index))
    assert index.sync(Catalog(make_steps(6))).types["step"] == TypeReport(embedded=2, unchanged=4)
    assert verify_index(index) == []


def test_closing(tmp_path, catalog, encoder):
    one = Index.from_catalog(catalog, tmp_path / "index", encoder=encoder)
    two = Index.open(tmp_path / "index", encoder=encoder)
    one.close()
    one.close()
    assert len(two.catalog()) == len(catalog)
    two.close()
    with pytest.raises(StoreError, match="closed"):
        two.catalog()
    with pytest.raises(StoreError, match="closed"):
        two.sync(catalog)


def test_an_index_in_memory_is_its_own_and_gone_when_it_is_closed(catalog, encoder):
    one = Index.from_catalog(catalog, encoder=encoder)
    two = Index.from_catalog(Catalog(make_steps(2)), encoder=encoder)
    one.close()
    assert len(two.catalog()) == 2
    client = chromadb.EphemeralClient(settings=store_of(two)._client.get_settings())
    left = [item.name for item in client.list_collections()]
    client.close()
    assert {name.split("-")[0] + "-" for name in left} == {store_of(two)._prefix}
    two.close()
    with pytest.raises(StoreError, match="closed"):
        one.catalog()


@pytest.mark.parametrize("name", ["", "a-b", "-", "x" * 65, None, 5, "a/b", "a b", "_a"])
def test_invalid_names(encoder, name):
    with pytest.raises(ParameterError, match="name of an index"):
        Index.open(None, encoder=encoder, name=name)
