"""Checking flows against a catalog."""

import pytest

from multiretriever.core import Catalog, Field, Flow, Step, Table
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.core.elements import StepInput
from multiretriever.core.flow_references import Condition, parse_conditions
from multiretriever.grounding import check_flow


def step(name, kind="action", **inputs):
    return Step(
        scope="core",
        name=name,
        kind=kind,
        inputs=[StepInput(name=n, type=t.rstrip("!"), required="!" in t) for n, t in inputs.items()],
    )


@pytest.fixture
def catalog():
    return Catalog(
        [
            step("daily", "trigger", time="string"),
            step("look_up_records", table="table!", conditions="conditions", order_by="field"),
            step("update_record", record="record!", table="table!", values="values!"),
            Step(scope="chat", name="post"),
            Table(name="task", scope="core"),
            Table(name="incident", scope="itsm", extends="task"),
            Field(table="task", scope="core", name="assigned_to"),
            Field(table="task", scope="core", name="state"),
            Field(table="incident", scope="itsm", name="caller"),
        ]
    )


def check(catalog, definition, kind="steps", **inputs):
    call = {"annotation": "x", "definition": definition, "inputs": inputs}
    return check_flow(Flow.model_validate({"trigger": call} if kind == "trigger" else {"steps": [call]}), catalog)


def test_a_flow_of_real_names_is_valid(catalog):
    found = check(catalog, "core.look_up_records", table="incident", conditions="assigned_toISEMPTY^caller=x", order_by="state")
    assert found.valid
    assert (found.steps, found.tables, found.hallucinated_step_share) == (1, 1, 0)


def test_hallucinated_names_are_found_with_their_nearest(catalog):
    found = check(catalog, "core.lookup_record")
    assert [(item.kind, item.name, item.where) for item in found.findings] == [("step", "core.lookup_record", "step 1")]
    assert found.findings[0].nearest[0] == "core.look_up_records"
    assert found.hallucinated_step_share == 1


@pytest.mark.parametrize(
    ("inputs", "kind", "name"),
    [
        ({"table": "incidents"}, "table", "incidents"),
        ({"table": "incident", "conditions": "asignee=me"}, "field", "asignee"),
        ({"table": "incident", "conditions": "state=1^ORpriority=2"}, "field", "priority"),
        ({"table": "incident", "order_by": "opened"}, "field", "opened"),
        ({"table": "incident", "limit": 5}, "input", "limit"),
        ({}, "missing input", "table"),
        ({"table": ""}, "missing input", "table"),
    ],
)
def test_each_kind_of_fault(catalog, inputs, kind, name):
    found = check(catalog, "core.look_up_records", **inputs)
    assert [(item.kind, item.name) for item in found.findings] == [(kind, name)]
    assert name in str(found.findings[0])
    assert (kind == "missing input") == (not found.hallucinated)


def test_values_name_fields_of_the_table_and_of_its_parents(catalog):
    assert check(catalog, "core.update_record", record="{{1}}", table="incident", values={"state": 1, "caller": 2}).valid
    # The parent has no field of its child.
    found = check(catalog, "core.update_record", record="{{1}}", table="task", values={"caller": 2})
    assert [item.name for item in found.findings] == ["caller"]


def test_a_trigger_is_no_step_and_a_step_no_trigger(catalog):
    assert check(catalog, "core.daily", kind="trigger", time="08:00").valid
    assert check(catalog, "core.daily").findings[0].kind == "step"
    assert check(catalog, "chat.post", kind="trigger").findings[0].kind == "trigger"


def test_what_is_filled_in_at_run_time_is_not_checked(catalog):
    assert check(catalog, "core.look_up_records", table="{{trigger.table}}", conditions="nonsenseISEMPTY").valid


def test_a_step_that_declares_no_inputs_takes_any(catalog):
    assert check(catalog, "chat.post", anything=1).valid


def test_a_name_alone_is_enough(catalog):
    assert check(catalog, "post").valid


def test_conditions_are_taken_apart():
    assert parse_conditions("stateNOT IN6,7^ORopened_atBEFORE5 days ago") == [
        Condition("state", "NOT IN", "6,7"),
        Condition("opened_at", "BEFORE", "5 days ago"),
    ]
    # Letters of a name that spell an operator do not cut it, where the name is known.
    assert parse_conditions("MAINTENANCEISEMPTY", ["MAINTENANCE"]) == [Condition("MAINTENANCE", "ISEMPTY")]
    assert parse_conditions("junk") == [Condition("junk")]


def test_every_bundled_flow_is_valid_and_a_spoilt_one_is_not():
    catalog = Catalog.from_path(IT_SERVICE)
    flows = [workflow.flow for workflow in catalog.of("workflow")]
    assert len(flows) >= 60
    assert [flow.name for flow in flows if not check_flow(flow, catalog).valid] == []
    spoilt = flows[0].model_copy(update={"steps": (flows[0].steps[0].model_copy(update={"definition": "core.no_such"}),)})
    assert not check_flow(spoilt, catalog).valid
