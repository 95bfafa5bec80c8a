"""``multiretriever demo``, with the shipped encoder and the bundled catalog."""

import json

import pytest

from multiretriever.cli.demo import REQUIREMENT
from multiretriever.core import Catalog, Flow
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.grounding import check_flow


@pytest.fixture
def demo(plainly, bundled_index):
    return lambda *arguments: plainly("demo", "--index", bundled_index, *arguments)


def test_it_shows_what_was_found_for_each_clause_then_the_flow_and_the_check(demo):
    shown = demo()
    assert shown.exit_code == 0, shown.stderr
    found, _, written = shown.stdout.partition("\nflow\n")
    assert found.startswith(f"Requirement: {REQUIREMENT}\n\nEvery day\nTYPE")
    for words in ("core.daily", "\n\nlook up incident tasks that do not", "core.look_up_records", "itsm.incident_task"):
        assert words in found
    assert "\nfield" in found
    flow, _, verdict = written.rpartition("\nEvery name is in the catalog ")
    assert verdict.startswith("(1 step, 1 table, ")
    assert [step.definition for step in Flow.from_yaml(flow).steps] == ["core.look_up_records"]


def test_nothing_is_embedded_twice_and_json_holds_clauses_and_a_flow_that_the_catalog_has(demo):
    requirement = "When an incident is created, post a message to the Slack channel."
    result = demo("--json", requirement)
    assert result.exit_code == 0, result.stderr
    assert ", 0 of them embedded now" in result.stderr
    answer = json.loads(result.stdout)
    assert answer["valid"] is True
    assert answer["findings"] == []
    assert [clause["text"] for clause in answer["clauses"]] == [
        "When an incident is created",
        "post a message to the Slack channel",
    ]
    for clause in answer["clauses"]:
        assert requirement[clause["start"] : clause["end"]] == clause["text"]
        assert clause["hits"][0]["element_type"] == "step"
        assert 0 < clause["hits"][0]["score"] <= 1
    flow = Flow.model_validate(answer["flow"])
    assert [step.definition for step in flow.steps] == ["slack.post_message"]
    assert check_flow(flow, Catalog.from_path(IT_SERVICE)).valid


def test_it_exits_with_1_where_a_name_does_not_exist(demo, monkeypatch):
    import multiretriever.grounding.draft as draft

    monkeypatch.setattr(draft, "repair_flow", lambda flow, catalog: (Flow(steps=[{"definition": "slack.shout"}]), ()))
    result = demo()
    assert result.exit_code == 1
    assert "Not valid:\n  step 1: there is no step 'slack.shout'" in result.stdout


def test_an_empty_requirement_is_one_line(demo):
    empty = demo(" ")
    assert (empty.exit_code, empty.stdout) == (2, "")
    assert "the query is empty" in empty.stderr
