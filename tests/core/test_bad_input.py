"""What callers get wrong: each time one typed error that names the value and says what is expected, and nothing is written."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from catalogs import small_catalog
from encoders import WordEncoder
from multiretriever.core import Index, MultiRetriever, MultiRetrieverError, ParameterError
from multiretriever.core.errors import ElementTypeError, FilterError, QueryError

# What is asked; the class of the error; what its message must hold.
TABLE = {
    "k is 0": ({"k": 0}, ParameterError, ["0", "from 1"]),
    "k is negative": ({"k": -1}, ParameterError, ["-1", "from 1"]),
    "k is a fraction": ({"k": 1.5}, ParameterError, ["1.5", "whole number"]),
    "k is text": ({"k": "3"}, ParameterError, ["'3'", "whole number"]),
    "k is a boolean": ({"k": True}, ParameterError, ["True", "whole number"]),
    "k is a list": ({"k": [3]}, ParameterError, ["[3]", "whole number"]),
    "k is not a number": ({"k": float("nan")}, ParameterError, ["nan", "whole number"]),
    "query is empty": ({"query": ""}, QueryError, ["empty", "give"]),
    "query is blank": ({"query": " \n\t "}, QueryError, ["empty", "give"]),
    "query is None": ({"query": None}, QueryError, ["None", "text"]),
    "query is a number": ({"query": 42}, QueryError, ["42", "text"]),
    "query is bytes": ({"query": b"find"}, QueryError, ["b'find'", "text"]),
    "query is a list": ({"query": ["find"]}, QueryError, ["['find']", "text"]),
    "query is a vector": ({"query": np.ones(3)}, QueryError, ["array([1., 1., 1.])", "text"]),
    "query is a megabyte": ({"query": "find " * 200_000}, QueryError, ["1,000,000", "100,000", "flow"]),
    "filter has an unknown field": ({"where": {"colour": "red"}}, FilterError, ["'colour'", "known: scope"]),
    "filter has a mistyped field": ({"where": {"scpoe": "core"}}, FilterError, ["'scpoe'", "'scope'"]),
    "filter has an operator": ({"where": {"scope": {"$ne": "core"}}}, FilterError, ["'scope'", "$ne", "one string"]),
    "filter is an operator": ({"where": {"$or": [{"scope": "core"}]}}, FilterError, ["'$or'", "known"]),
    "filter has a list": ({"where": {"scope": ["core", "slack"]}}, FilterError, ["['core', 'slack']", "one string"]),
    "filter has None": ({"where": {"scope": None}}, FilterError, ["None", "one string"]),
    "filter has NaN": ({"where": {"version": float("nan")}}, FilterError, ["nan", "finite"]),
    "filter has a number without bounds": ({"where": {"version": 10**30}}, FilterError, [str(10**30), "64 bits"]),
    "filter is text": ({"where": "scope=core"}, FilterError, ["'scope=core'", "maps names"]),
    "filter names a reserved key": ({"where": {"_element": "x"}}, FilterError, ["'_element'", "known"]),
    "mode is unknown": ({"mode": "bm25"}, ParameterError, ["'bm25'", "dense, lexical, hybrid"]),
    "mode is empty": ({"mode": ""}, ParameterError, ["''", "dense, lexical, hybrid"]),
    "mode is a number": ({"mode": 1}, ParameterError, ["1", "dense, lexical, hybrid"]),
    "type is unknown": ({"element_type": "stepp"}, ElementTypeError, ["'stepp'", "step, table", "register_element_type"]),
    "type is None": ({"element_type": None}, ElementTypeError, ["None", "step, table"]),
    "type is a list": ({"element_type": ["step"]}, ElementTypeError, ["['step']", "step, table"]),
    "context is text": ({"context": "core"}, ParameterError, ["'core'"]),
    "context has a wrong value": ({"context": {"scope": 5}}, ParameterError, ["scope", "string"]),
    "context has a wrong kind of text": ({"context": {"text": "step"}}, ParameterError, ["text", "annotation"]),
    "context has a broken flow": ({"context": {"flow": "steps: [{order: 0}]"}}, ParameterError, ["flow", "order"]),
    "context has an object": ({"context": {"note": object()}}, ParameterError, ["'note'", "plain values"]),
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad") / "index"
    with Index.from_catalog(small_catalog(), folder, encoder=WordEncoder()) as index:
        yield MultiRetriever(index)


def state(retriever):
    """What would change if anything were written."""
    folder = Path(retriever.index.location)
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    return files, retriever.index.manifest, len(retriever.index.encoder.query_batches)


def ask(retriever, query="send a message", element_type="step", **options):
    return retriever.retrieve(query, element_type, **options)


def ask_for_many(retriever, query="send a message", element_type="step", **options):
    return retriever.retrieve_batch(["fine", query], element_type, **options)


def ask_later(retriever, query="send a message", element_type="step", **options):
    return asyncio.run(retriever.aretrieve(query, element_type, **options))


def ask_for_ground(retriever, query="send a message", element_type="step", k=2, **options):
    if isinstance(element_type, list):
        element_type = tuple(element_type)
    return retriever.ground(query, {"table": 1, element_type: k}, **options)


@pytest.mark.parametrize("how", [ask, ask_for_many, ask_later, ask_for_ground])
@pytest.mark.parametrize("case", TABLE)
def test_one_typed_error(opened, how, case):
    arguments, kind, words = TABLE[case]
    before = state(opened)
    with pytest.raises(MultiRetrieverError) as caught:
        how(opened, **arguments)
    assert type(caught.value) is kind
    message = str(caught.value)
    if how is not ask_for_ground or case != "type is a list":
        assert [word for word in words if word not in message] == []
    assert len(message) < 500
    assert state(opened) == before


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_every_error_is_there_in_every_mode(opened, mode):
    for arguments, kind, _ in TABLE.values():
        with pytest.raises(kind):
            ask(opened, **{"mode": mode, **arguments})


@pytest.mark.parametrize("queries", ["send", None, 5, {"a"}, np.array(["a"])])
def test_a_batch_is_a_list(opened, queries):
    with pytest.raises(ParameterError, match="list of texts"):
        opened.retrieve_batch(queries, "step")


def test_errors_are_value_errors_for_those_who_catch_these(opened):
    for arguments in ({"k": 0}, {"query": ""}, {"where": {"x": 1}}, {"element_type": "x"}):
        with pytest.raises(ValueError, match=r"\w"):
            ask(opened, **arguments)


@pytest.mark.parametrize(
    "query",
    [
        "x",
        "?",
        "a" * 100_000,
        "🎉",
        "\0",
        "\ud800",
        "' OR 1=1 --",
        "$ne",
        "{0.__class__}",
        "%s",
        "the of and",
        "\u202e",
        "<script>",
    ],
)
@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_odd_queries_are_queries(opened, query, mode):
    hits = opened.retrieve(query, "step", mode=mode)
    assert all(np.isfinite(hit.score) for hit in hits)
    assert len(hits) == 5 or mode == "lexical"
