import pytest

from multiretriever.core import Catalog, Index, MultiRetriever, Step
from multiretriever.core.errors import FilterError
from multiretriever.core.index.index import chroma_where
from multiretriever.core.query import check_where

NAMES = ("scope", "kind", "price")


@pytest.mark.parametrize("where", [None, {}])
def test_no_filter(where):
    assert check_where(where, NAMES, "step") == {}
    assert chroma_where({}) is None


def test_valid_filters():
    where = {"scope": "", "kind": "action", "price": 1.5}
    assert check_where(where, NAMES, "step") == where
    assert check_where({"price": True}, NAMES, "step") == {"price": True}


def test_the_form_that_chroma_takes():
    assert chroma_where({"scope": "core"}) == {"scope": {"$eq": "core"}}
    assert chroma_where({"scope": "core", "kind": "x"}) == {"$and": [{"scope": {"$eq": "core"}}, {"kind": {"$eq": "x"}}]}


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"scop": "core"}, "'scop'; was 'scope' meant"),
        ({"colour": "red"}, "known: scope, kind, price"),
        ({"$or": [{"scope": "a"}]}, r"'\$or'"),
        ({"scope": {"$ne": "core"}}, "'scope' needs one"),
        ({"scope": ["a", "b"]}, "'scope' needs one"),
        ({"scope": None}, "None"),
        ({"price": float("nan")}, "nan"),
        ({"price": float("inf")}, "inf"),
        ({"price": 2**63}, str(2**63)),
        ({"scope": "\ud800"}, "scope"),
        ({1: "a"}, "on 1"),
        ("scope=core", "str"),
        ([("scope", "core")], "list"),
    ],
)
def test_invalid_filters(where, words):
    with pytest.raises(FilterError, match=words):
        check_where(where, NAMES, "step")


VALUES = {
    "int": 1,
    "float": 1.0,
    "true": True,
    "text": "1",
    "zero": 0,
    "false": False,
    "two": 2,
    "half": 2.5,
    "minus": -2,
    "none": "",
}


@pytest.fixture(scope="module")
def typed():
    from encoders import WordEncoder

    steps = [Step(name=f"alpha_{key}", id=key, metadata={"n": value}) for key, value in VALUES.items()]
    with Index.from_catalog(Catalog(steps), encoder=WordEncoder()) as index:
        yield MultiRetriever(index)


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, {"int", "float"}),
        (1.0, {"int", "float"}),
        (True, {"true"}),
        ("1", {"text"}),
        (0, {"zero"}),
        (False, {"false"}),
        (2.5, {"half"}),
        (-2.5, set()),
        (2.0, {"two"}),
        ("", {"none"}),
        ("' OR 1=1 --", set()),
    ],
)
def test_equality_is_the_same_in_both_halves_of_a_search(typed, value, expected, mode):
    assert {hit.id for hit in typed.retrieve("alpha", "step", where={"n": value}, mode=mode)} == expected


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_several_names_must_all_hold(retriever, mode):
    hits = retriever.retrieve("record", "step", where={"scope": "core", "kind": "trigger"}, mode=mode)
    assert [hit.id for hit in hits] == ["core.record_created"]
    assert retriever.retrieve("record", "step", where={"scope": "slack", "kind": "trigger"}, mode=mode) == []


def test_single_values_of_metadata_can_be_filtered_and_lists_cannot(retriever):
    assert [hit.id for hit in retriever.retrieve("send", "step", where={"beta": False})] == ["slack.post_message"]
    with pytest.raises(FilterError, match="'tags'"):
        retriever.retrieve("send", "step", where={"tags": "chat"})


@pytest.mark.parametrize("name", ["ключ", "a b", 'quo"te', "it's", "a.b", "a\0b", "select"])
def test_odd_names_of_metadata(encoder, name):
    catalog = Catalog([Step(name="a", metadata={name: "x"}), Step(name="b", metadata={name: "y"})])
    with Index.from_catalog(catalog, encoder=encoder) as index:
        assert [hit.id for hit in MultiRetriever(index).retrieve("b", "step", where={name: "x"})] == ["a"]
