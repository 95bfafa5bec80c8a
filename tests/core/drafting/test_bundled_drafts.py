"""Drafts over the bundled catalog, with the shipped encoder."""

import pytest

from multiretriever.core import Catalog, Index, MultiRetriever
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.core.drafting import draft_flow


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


def test_drafts_of_bundled_requirements_hold_no_made_up_name(retriever, catalog):
    whole = Catalog.from_path(IT_SERVICE)
    for workflow in whole.of("workflow")[::4]:
        draft = draft_flow(retriever, workflow.flow.requirement, catalog=catalog)
        assert draft.check.findings == (), workflow.name
