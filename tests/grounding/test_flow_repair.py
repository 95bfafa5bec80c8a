"""Repaired flows: whatever goes in, only real names come out, and every change is told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiretriever.core import Catalog, Field, Flow, Step, Table
from multiretriever.core.elements import StepInput
from multiretriever.grounding import check_flow, repair_flow

CATALOG = Catalog(
    [
        Step(scope="core", name="daily", kind="trigger", inputs=[StepInput(name="time", required=True)]),
        Step(scope="core", name="record_updated", kind="trigger", inputs=[StepInput(name="table", type="table", required=True)]),
        Step(
            scope="core",
            name="look_up_records",
            inputs=[
                StepInput(name="table", type="table", required=True),
                StepInput(name="conditions", type="conditions"),
                StepInput(name="order_by", type="field"),
            ],
        ),
        Step(
            scope="core",
            name="update_record",
            inputs=[
                StepInput(name="record", type="record", required=True),
                StepInput(name="table", type="table", required=True),
                StepInput(name="values", type="values", required=True),
            ],
        ),
        Step(scope="core", name="for_each", kind="logic", inputs=[StepInput(name="records", type="records", required=True)]),
        Step(scope="chat", name="post"),
        Table(scope="core", name="task"),
        Table(scope="itsm", name="incident", extends="task"),
        Field(table="task", scope="core", name="assigned_to"),
        Field(table="task", scope="core", name="state"),
        Field(table="incident", scope="itsm", name="caller"),
    ]
)


def repair(definition, **inputs):
    call = {"annotation": "x", "definition": definition, "inputs": inputs}
    flow, changes = repair_flow(Flow.model_validate({"steps": [call]}), CATALOG)
    assert check_flow(flow, CATALOG).valid
    return flow.steps, [(item.kind, item.was, item.now) for item in changes]


def test_a_valid_flow_stays_as_it_is():
    flow = Flow.model_validate(
        {
            "trigger": {"definition": "core.daily", "inputs": {"time": "08:00"}},
            "steps": [
                {"definition": "core.look_up_records", "inputs": {"table": "incident", "conditions": "state=1^ORcaller=x"}}
            ],
        }
    )
    assert repair_flow(flow, CATALOG) == (flow, ())


@pytest.mark.parametrize(
    ("inputs", "now", "changes"),
    [
        ({"table": "incidents"}, {"table": "incident"}, [("table", "incidents", "incident")]),
        ({"table": "spaceship"}, {"table": "{{input.table}}"}, [("table", "spaceship", ""), ("required input", "", "table")]),
        (
            {"table": "incident", "conditions": "asigned_toISEMPTY^ORzzz=1^stat=2"},
            {"table": "incident", "conditions": "assigned_toISEMPTY^state=2"},
            [("field", "asigned_to", "assigned_to"), ("field", "zzz", ""), ("field", "stat", "state")],
        ),
        (
            {"table": "incident", "conditions": "all of them"},
            {"table": "incident"},
            [("field", "all of them", "")],
        ),
        (
            {"table": "incident", "order_by": "callers"},
            {"table": "incident", "order_by": "caller"},
            [("field", "callers", "caller")],
        ),
        ({"tabel": "incident"}, {"table": "incident"}, [("input", "tabel", "table")]),
        ({"table": "incident", "xyz": 5}, {"table": "incident"}, [("input", "xyz", "")]),
        ({}, {"table": "{{input.table}}"}, [("required input", "", "table")]),
        ({"table": "{{trigger.table}}", "conditions": "q=1"}, {"table": "{{trigger.table}}", "conditions": "q=1"}, []),
    ],
)
def test_each_kind_of_fault(inputs, now, changes):
    (step,), told = repair("core.look_up_records", **inputs)
    assert step.inputs == now
    assert told == changes


def test_values_keep_the_real_fields_and_never_write_one_twice():
    (step,), told = repair(
        "core.update_record", record="{{1}}", table="incident", values={"states": "a", "state": "b", "callr": "c"}
    )
    assert step.inputs["values"] == {"state": "b", "caller": "c"}
    assert told == [("field", "states", ""), ("field", "callr", "caller")]


def test_fields_of_a_table_that_does_not_exist_are_not_kept():
    (step,), told = repair("core.update_record", record="{{1}}", table="spaceship", values={"warp": 9})
    assert step.inputs == {"record": "{{1}}", "table": "{{input.table}}", "values": "{{input.values}}"}
    assert ("table with the fields", "warp", "") in told


def test_a_step_becomes_the_nearest_then_the_suggested_or_is_left_out():
    assert (
        repair("core.update_records", record="{{1}}", table="incident", values={"state": 1})[0][0].definition
        == "core.update_record"
    )
    assert repair("warp.engage") == ((), [("step", "warp.engage", "")])
    flow, changes = repair_flow(
        Flow.model_validate(
            {"trigger": {"annotation": "at night"}, "steps": [{"annotation": "tell them", "definition": "warp.engage"}]}
        ),
        CATALOG,
        suggest=lambda annotation, kind: {"at night": "core.daily", "tell them": "chat.post"}[annotation],
    )
    assert (flow.trigger.definition, flow.steps[0].definition) == ("core.daily", "chat.post")
    assert str(changes[-1]) == "step 1: there is no step 'warp.engage'; it became 'chat.post'"


def test_a_suggestion_that_does_not_exist_is_not_taken():
    flow, _ = repair_flow(Flow.model_validate({"steps": [{"definition": "warp.engage"}]}), CATALOG, suggest=lambda *_: "no.such")
    assert flow.steps == ()


def test_what_stood_in_the_block_of_a_step_that_is_left_out_moves_up():
    steps = [
        {"definition": "core.for_each", "order": 1, "inputs": {"records": "x"}},
        {"definition": "qqqq", "order": 2, "block": 1},
        {"definition": "zzzz", "order": 3, "block": 2},
        {"definition": "chat.post", "order": 4, "block": 3},
    ]
    flow, _ = repair_flow(Flow.model_validate({"steps": steps}), CATALOG)
    assert [(step.order, step.block) for step in flow.steps] == [(1, 0), (4, 1)]
    Flow.model_validate(flow.model_dump())


NAMES = ["core.daily", "core.look_up_records", "core.lookup_record", "chat.post", "core.for_each", "core.update_record", "", "x"]
VALUES = st.one_of(
    st.sampled_from(["incident", "incidents", "task", "state=1^ORstat=2", "OR", "^", "{{1}}", "", "=", "ORDER=1", "caller"]),
    st.text(max_size=12),
    st.integers(),
    st.none(),
    st.dictionaries(st.sampled_from(["state", "caller", "stat", ""]), st.integers(), max_size=3),
)
CALL = st.fixed_dictionaries(
    {
        "definition": st.sampled_from(NAMES),
        "inputs": st.dictionaries(
            st.sampled_from(["table", "conditions", "values", "record", "order_by", "records", "time", "tim", "q"]),
            VALUES,
            max_size=5,
        ),
    }
)


@settings(max_examples=300, deadline=None)
@given(trigger=st.none() | CALL, steps=st.lists(CALL, max_size=4))
def test_whatever_goes_in_only_real_names_come_out(trigger, steps):
    blocks = [{**step, "order": place, "block": place - 1} for place, step in enumerate(steps, start=1)]
    flow, _ = repair_flow(Flow.model_validate({"trigger": trigger, "steps": blocks}), CATALOG)
    assert check_flow(flow, CATALOG).findings == ()
    assert repair_flow(flow, CATALOG)[1] == ()
    Flow.from_yaml(flow.to_yaml())
