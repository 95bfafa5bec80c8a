"""Drafting flows by rules over retrieval, with the shipped encoder."""

import pytest

from multiretriever.core import Catalog, Index, MultiRetriever, QueryError
from multiretriever.core.bundled import IT_SERVICE
from multiretriever.core.clauses import outline
from multiretriever.core.drafting import draft_flow


@pytest.mark.parametrize(
    ("requirement", "trigger", "clauses"),
    [
        (
            "Every day, look up incident tasks that do not have assignees and close them.",
            "Every day",
            ["look up incident tasks that do not have assignees", "close them"],
        ),
        ("Close old tickets every Friday.", "every Friday", ["Close old tickets"]),
        ("When an incident is created, post it to Slack", "When an incident is created", ["post it to Slack"]),
        ("find servers, restart them, then tell the owner", "", ["find servers", "restart them", "tell the owner"]),
        ("Tidy up the shared drive", "", ["Tidy up the shared drive"]),
        (
            "Reset the password. Send it to the user!\nLog the call",
            "",
            ["Reset the password", "Send it to the user", "Log the call"],
        ),
    ],
)
def test_outline(requirement, trigger, clauses):
    found = outline(requirement)
    assert found.trigger == trigger
    assert [clause.text for clause in found.clauses] == clauses


def test_outline_tells_conditions_actions_and_what_refers_back():
    first, second = outline("Look up alerts. If the host is down, page the engineer about it.").clauses
    assert (first.verb, first.action, first.refers) == ("look up", "find", False)
    assert (second.condition, second.refers, second.object) == ("the host is down", True, "the engineer about")


@pytest.fixture(scope="module")
def catalog():
    # What a flow is made of, without the other half of the catalog, which takes as long again to embed.
    return Catalog(item for item in Catalog.from_path(IT_SERVICE) if item.element_type in ("step", "table", "field"))


@pytest.fixture(scope="module")
def retriever(catalog):
    with Index.from_catalog(catalog) as index:
        yield MultiRetriever(index)


def test_the_requirement_of_the_demo(retriever, catalog):
    draft = draft_flow(retriever, "Every day, look up incident tasks that do not have assignees and close them.", catalog=catalog)
    assert draft.check.valid
    assert draft.flow.trigger.definition == "core.daily"
    assert [(step.definition, step.block) for step in draft.flow.steps] == [
        ("core.look_up_records", 0),
        ("core.for_each", 0),
        ("core.update_record", 2),
    ]
    assert draft.flow.steps[0].inputs == {"table": "incident_task", "conditions": "assigned_toISEMPTY"}
    assert draft.flow.steps[2].inputs["values"] == {"state": "closed_complete"}


def test_a_trigger_on_records_gives_the_record_that_it_speaks_of(retriever, catalog):
    flow = draft_flow(retriever, "When an incident is created, assign it to the network team.", catalog=catalog).flow
    assert (flow.trigger.definition, flow.trigger.inputs["table"]) == ("core.record_created", "incident")
    assert flow.steps[0].definition == "core.update_record"
    assert flow.steps[0].inputs == {
        "record": "{{trigger.record}}",
        "table": "incident",
        "values": {"assignment_group": "network team"},
    }


def test_drafts_of_all_bundled_requirements_hold_no_made_up_name(retriever, catalog):
    whole = Catalog.from_path(IT_SERVICE)
    for workflow in whole.of("workflow")[::4]:
        draft = draft_flow(retriever, workflow.flow.requirement, catalog=catalog)
        assert draft.check.findings == (), workflow.name


@pytest.mark.parametrize("requirement", ["", "  ", None, 5])
def test_a_bad_requirement_is_refused(retriever, requirement):
    with pytest.raises(QueryError):
        draft_flow(retriever, requirement)
