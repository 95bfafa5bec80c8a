import json
from pathlib import Path

import pytest

from encoders import WordEncoder


def ids(result):
    assert result.exit_code == 0, result.stderr
    return [hit["id"] for hit in json.loads(result.stdout)["hits"]]


def test_table_of_hits(invoke, indexed):
    result = invoke("search", "tell the on-call engineer", "-k", "2")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["RANK", "SCORE", "ID", "LABEL", "SCOPE", "DESCRIPTION"]
    assert lines[1].split()[2] == "itsm.notify_on_call"
    assert lines[1].endswith("Tells the engineer who is on call about an incident.")
    assert len(lines) == 3
    assert result.stderr == ""


def test_json_is_one_object(invoke, indexed):
    result = invoke("search", "who reported it", "--type", "fields", "--json")
    answer = json.loads(result.stdout)
    assert (answer["query"], answer["element_type"]) == ("who reported it", "field")
    first = answer["hits"][0]
    assert (first["rank"], first["id"], first["table"], first["element_type"]) == (1, "itsm.incident.caller", "incident", "field")
    assert result.stderr == ""


def test_count(invoke, indexed):
    assert len(ids(invoke("search", "incident", "--json", "-k", "1"))) == 1
    assert len(ids(invoke("search", "incident", "--json", "-k", str(10**12)))) == 4


def test_filters(invoke, indexed):
    assert ids(invoke("search", "incident", "--where", "scope=slack", "--json")) == ["slack.post_message"]
    both = ("--where", "table=incident", "--where", "data_type=choice")
    assert ids(invoke("search", "incident", "--type", "field", *both, "--json")) == ["itsm.incident.state"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("approved=true", ["itsm.notify_on_call"]),
        ("approved=false", ["itsm.assign_incident"]),
        ("level=3", ["itsm.notify_on_call"]),
        ("version=3", ["itsm.notify_on_call"]),  # text in the catalog
        ("level=4", []),
        ("level=[3]", []),
        ("version=", []),
    ],
)
@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_filter_values_have_the_type_of_the_index(invoke, indexed, where, expected, mode):
    assert ids(invoke("search", "incident engineer", "--where", where, "--mode", mode, "--json")) == expected


def test_number_with_decimals(invoke):
    Path("c.yaml").write_text("steps: [{name: a, metadata: {cost: 3.0}}, {name: b, metadata: {cost: 0.5}}]", encoding="utf-8")
    assert invoke("index", "c.yaml").exit_code == 0
    assert ids(invoke("search", "a", "--where", "cost=3", "--json")) == ["a"]
    assert ids(invoke("search", "a", "--where", "cost=0.5", "--json")) == ["b"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x", "--where", "scop=itsm"], ["'scop'", "'scope'"]),
        (["x", "--where", "scope"], ["--where", "NAME=VALUE", "'scope'"]),
        (["x", "--where", "scope=a", "--where", "scope=b"], ["twice"]),
        (["x", "--context", "=a"], ["--context"]),
        (["x", "--context", "text=nonsense"], ["text"]),
        (["x", "--context", "flow=x: 1", "--flow", "flow.yaml"], ["'flow'", "twice"]),
        (["x", "--context", "text=annotation", "--annotation"], ["'text'", "twice"]),
        (["x", "--type", "form"], ["'form'", "step", "--plugin"]),
        (["x", "--type", "workflow"], ["'workflow'", "catalog_item"]),
        (["x", "--mode", "fuzzy"], ["'fuzzy'", "hybrid"]),
        (["  "], ["empty"]),
        (["x" * 100_001], ["100,001"]),
    ],
)
def test_wrong_arguments_are_exit_code_2(invoke, indexed, arguments, words):
    result = invoke("search", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert all(word in result.stderr for word in words)
    assert "Traceback" not in result.stderr


def test_arguments_are_checked_before_the_index_is_opened(invoke):
    assert invoke("search", "x", "--type", "nosuch").exit_code == 2
    assert invoke("search", "x", "--mode", "nosuch").exit_code == 2
    assert invoke("search", "x").exit_code == 3


@pytest.mark.parametrize("text", ["", "flows: [", "name: a\n---\nname: b\n", None])
def test_wrong_flow_file(invoke, indexed, text):
    if text is not None:
        Path("wrong.yaml").write_text(text, encoding="utf-8")
    result = invoke("search", "x", "--flow", "wrong.yaml")
    assert result.exit_code == (2 if text and "---" in text else 1)
    assert "wrong.yaml" in result.stderr


def test_context_reaches_the_query(invoke, indexed, monkeypatch):
    from multiretriever.core import InstructionSet

    encoder = WordEncoder("words", instructions=InstructionSet.default())
    monkeypatch.setattr("multiretriever.core.index.index.load_encoder", lambda spec=None: encoder)
    given = ["--context", "scope=slack", "--context", "team=ops", "--flow", "flow.yaml", "--annotation"]
    assert ids(invoke("search", "post it", *given, "--json"))
    (text,) = encoder.query_batches[-1]
    for part in ("scope: slack", "team: ops", "itsm.notify_on_call", "post it"):
        assert part in text


def test_query_from_standard_input(run, invoke, indexed):
    done = run("search", "-", "--json", input="tell the on-call engineer\n")
    assert json.loads(done.stdout)["query"] == "tell the on-call engineer"
    assert invoke("search", "-", input="").exit_code == 2
    assert invoke("search", "-", input="x" * 200_000).exit_code == 2


def test_no_hits_are_no_error(invoke, indexed):
    result = invoke("search", "zzz", "--mode", "lexical")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no hits\n")
    assert ids(invoke("search", "zzz", "--mode", "lexical", "--json")) == []


def test_query_that_starts_with_a_hyphen(invoke, indexed):
    assert invoke("search", "--", "--json").exit_code == 0
