import json

import pytest


def test_all_types(invoke, indexed):
    result = invoke("ground", "tell the caller of an incident")
    assert result.exit_code == 0
    headings = [line for line in result.stdout.splitlines() if line in ("step", "table", "field", "catalog_item")]
    assert headings == ["step", "table", "field", "catalog_item"]
    assert result.stdout.count("RANK") == 4


def test_asked_for_types(invoke, indexed):
    result = invoke("ground", "incident", "--type", "step=1", "--type", "tables", "--json")
    answer = json.loads(result.stdout)
    assert answer["query"] == "incident"
    assert {name: len(hits) for name, hits in answer["hits"].items()} == {"step": 1, "table": 2}


def test_filter_goes_to_the_types_that_know_it(invoke, indexed):
    result = invoke("ground", "incident", "--where", "approved=true", "--type", "step", "--type", "table", "--json")
    answer = json.loads(result.stdout)["hits"]
    assert [hit["id"] for hit in answer["step"]] == ["itsm.notify_on_call"]
    assert len(answer["table"]) == 2


@pytest.mark.parametrize("kind", ["step=0", "step=-1", "step=x", "step=", "step=1.5", "nosuch=3", "=3"])
def test_wrong_types(invoke, indexed, kind):
    result = invoke("ground", "incident", "--type", kind)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")


def test_type_named_twice(invoke, indexed):
    result = invoke("ground", "incident", "--type", "step", "--type", "steps=2")
    assert result.exit_code == 2
    assert "twice" in result.stderr


def test_unknown_filter(invoke, indexed):
    assert invoke("ground", "incident", "--where", "nosuch=1").exit_code == 2


def test_type_without_hits(invoke, indexed):
    result = invoke("ground", "laptop", "--mode", "lexical", "--type", "step", "--type", "catalog_item")
    assert result.exit_code == 0
    assert "itsm.laptop" in result.stdout
    assert "no hits" in result.stderr
