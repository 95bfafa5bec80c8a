import enum

import numpy as np
import pytest
import yaml

from multiretriever.core import Flow, InstructionSet, ParameterError, QueryContext
from multiretriever.core.errors import QueryError
from multiretriever.core.prompts import make_prompt
from multiretriever.core.query import MAX_QUERY, SearchOptions, check_context, check_k, check_mode, check_query


def test_a_query_is_returned_as_it_is():
    assert check_query("  find\nit {x} 🎉 ") == "  find\nit {x} 🎉 "
    assert check_query("x" * MAX_QUERY) == "x" * MAX_QUERY
    assert check_query("a\ud800b") == "a?b"


@pytest.mark.parametrize("query", ["", " ", "\n\t", "\u2003"])
def test_blank_queries(query):
    with pytest.raises(QueryError, match="empty"):
        check_query(query)


@pytest.mark.parametrize(("query", "kind"), [(None, "NoneType"), (5, "int"), (b"x", "bytes"), (["x"], "list"), (np.str_, "type")])
def test_queries_that_are_no_text(query, kind):
    with pytest.raises(QueryError, match=kind):
        check_query(query)


def test_a_query_that_is_a_document():
    with pytest.raises(QueryError, match="1,000,000"):
        check_query("x" * 1_000_000)


def test_k_and_mode():
    assert check_k(None, 15) == 15
    assert check_k(10**12, 15) == 10**12
    for k in (0, -1, 1.5, "3", True, False, [1]):
        with pytest.raises(ParameterError, match="k is"):
            check_k(k, 15)
    assert check_mode("hybrid") == "hybrid"
    for mode in ("Hybrid", "", None, 1, ["dense"]):
        with pytest.raises(ParameterError, match="dense, lexical, hybrid"):
            check_mode(mode)


def test_a_context_is_read_from_a_mapping():
    context = check_context({"scope": "core", "flow": "requirement: greet\nsteps: [{order: 1}]", "priority": 2})
    assert isinstance(context.flow, Flow)
    assert context.given == {"scope", "flow", "priority"}
    assert check_context(context) is context
    assert check_context(None) == QueryContext()


def test_an_annotation_is_given_but_stands_in_no_line():
    context = QueryContext(text="annotation", scope="core")
    assert context.given == {"annotation", "scope"}
    assert context.lines == {"scope": "core"}


def test_the_flow_stands_last_since_its_newest_part_is_kept():
    context = check_context({"flow": {"requirement": "r"}, "zeta": 1, "scope": "core"})
    assert list(context.lines) == ["scope", "zeta", "flow"]


class Colour(str, enum.Enum):
    RED = "red"


def test_values_of_kinds_that_are_text_or_numbers():
    context = {
        "scope": np.str_("core"),
        "colour": Colour.RED,
        "weight": np.float64(0.5),
        "list": [1, {"a": None}],
        "pair": (1, 2),
    }
    body = make_prompt("x", "table", context, instructions=InstructionSet.default()).body
    assert yaml.safe_load(body) == {
        "scope": "core", "colour": "red", "weight": 0.5, "list": [1, {"a": None}], "pair": [1, 2], "requirement": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ("core", "str"),
        (["core"], "list"),
        (5, "int"),
        ({"scope": 5}, "scope"),
        ({"text": "step"}, "text"),
        ({"flow": "steps: ["}, "flow"),
        ({"flow": ["a"]}, "flow"),
        ({"flow": {"steps": [{"order": 0}]}}, "flow.steps.0.order"),
        ({"flow": "x" * 1_000_001}, "1,000,001"),
        ({1: "a"}, "1"),
        ({"colour": {1, 2}}, "'colour'"),
        ({"colour": object()}, "'colour'"),
        ({"colour": {"deep": [np.int64(3)]}}, "'colour'"),
    ],
)
def test_invalid_contexts(context, words):
    with pytest.raises(ParameterError, match=words):
        check_context(context)


def test_an_encoder_without_instructions_is_given_no_instruction_and_no_flow():
    context = {
        "scope": "core",
        "flow": {"requirement": "all", "steps": [{"annotation": "first", "order": 1}]},
        "requirement": "all",
    }
    prompt = make_prompt("find it", "step", context, instructions=None)
    assert (prompt.text, prompt.template) == ("core\nfind it", None)
    assert make_prompt("find it", "step", instructions=None).text == "find it"
    with pytest.raises(QueryError):
        make_prompt(" ", "step", instructions=None)
    with pytest.raises(ParameterError):
        make_prompt("x", "step", {"scope": 5}, instructions=None)


def test_options_are_no_longer_the_callers_mapping():
    where = {"scope": "core"}
    options = SearchOptions(where=where)
    where["scope"] = "z"
    assert options.where == {"scope": "core"}
