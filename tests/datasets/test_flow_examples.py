"""Every kind of query, on flows whose answers can be told by hand."""

import pytest

from multiretriever.core import Flow, InstructionSet
from multiretriever.core.prompts import make_prompt
from multiretriever.datasets import Dataset
from multiretriever.datasets.examples import EVALUATED_KINDS, FLOW_KINDS
from small_dataset import write_dataset


@pytest.fixture
def dataset(tmp_path):
    return Dataset.from_path(write_dataset(tmp_path))


def made(dataset, kind):
    return [(item.query, dict(item.context), item.relevant) for item in dataset.stream(kinds=[kind])]


def test_all_steps_of_a_requirement_with_its_trigger(dataset):
    assert made(dataset, "step.requirement") == [
        ("new ticket, say hello to the caller", {}, ("core.record_created", "chat.post_message")),
        ("greet people who open tickets", {}, ("core.record_created", "chat.post_message")),
        (
            "each day look for open tickets and if they have an owner tell them and mark the ticket",
            {},
            ("core.daily", "core.look_up_records", "core.for_each", "core.if", "chat.post_message", "core.update_record"),
        ),
    ]


def test_steps_of_a_requirement_by_scope_and_type(dataset):
    assert made(dataset, "step.requirement.scope")[:2] == [
        ("new ticket, say hello to the caller", {"scope": "core"}, ("core.record_created",)),
        ("new ticket, say hello to the caller", {"scope": "chat"}, ("chat.post_message",)),
    ]
    found = [(context, relevant) for _, context, relevant in made(dataset, "step.requirement.scope.type")][-4:]
    assert found == [
        ({"scope": "core", "type": "trigger"}, ("core.daily",)),
        ({"scope": "core", "type": "action"}, ("core.look_up_records", "core.update_record")),
        ({"scope": "core", "type": "logic"}, ("core.for_each", "core.if")),
        ({"scope": "chat", "type": "action"}, ("chat.post_message",)),
    ]


def test_a_step_from_each_annotation(dataset):
    note = {"text": "annotation"}
    assert made(dataset, "step.annotation")[:4] == [
        ("new ticket", note, ("core.record_created",)),
        ("say hello", note, ("chat.post_message",)),
        ("greet them", note, ("chat.post_message",)),
        ("each day", note, ("core.daily",)),
    ]
    assert ("say hello", {**note, "scope": "chat"}, ("chat.post_message",)) in made(dataset, "step.annotation.scope")
    requirement = "new ticket, say hello to the caller"
    assert ("greet them", {**note, "requirement": requirement}, ("chat.post_message",)) in made(
        dataset, "step.annotation.requirement"
    )


def test_the_next_step_from_the_flow_so_far(dataset):
    found = made(dataset, "step.flow")
    assert [relevant for _, _, relevant in found] == [
        ("chat.post_message",),
        ("chat.post_message",),
        ("core.look_up_records",),
        ("core.for_each",),
        ("core.if",),
        ("chat.post_message",),
        ("core.update_record",),
    ]
    query, context, _ = found[5]
    flow = context["flow"]
    assert (query, context["text"]) == ("tell them", "annotation")
    assert [step.order for step in flow.steps] == [1, 2, 3]
    assert (flow.name, flow.trigger.annotation) == ("chase", "each day")
    # What is written when a flow is done is not known while it is built.
    assert (flow.description, flow.paraphrases, found[0][1]["flow"].paraphrases) == ("", (), ())


def test_tables_and_fields(dataset):
    note = {"text": "annotation"}
    assert [item[2] for item in made(dataset, "table.requirement")] == [("core.ticket",)] * 3
    assert made(dataset, "table.annotation") == [
        ("new ticket", note, ("core.ticket",)),
        ("look for open tickets", note, ("core.ticket",)),
        ("mark the ticket", note, ("core.ticket",)),
    ]
    # The ticket's own state hides that of the task; the owner is inherited.
    chased = ("core.ticket.state", "core.task.owner")
    assert made(dataset, "field.table.annotation") == [
        ("new ticket", {**note, "table": "ticket"}, ("core.ticket.caller",)),
        ("look for open tickets", {**note, "table": "ticket"}, ("core.ticket.state",)),
        ("mark the ticket", {**note, "table": "ticket"}, chased),
    ]
    assert made(dataset, "field.table")[-1][1:] == ({"table": "ticket"}, chased)
    # A trigger has no flow before it.
    assert [item[2] for item in made(dataset, "field.table.flow")] == [("core.ticket.state",), chased]


def test_workflows(dataset):
    assert [(query, relevant) for query, _, relevant in made(dataset, "workflow.requirement")] == [
        ("new ticket, say hello to the caller", ("chat.greet",)),
        ("greet people who open tickets", ("chat.greet",)),
        ("each day look for open tickets and if they have an owner tell them and mark the ticket", ("core.chase",)),
    ]
    (_, context, relevant), *_ = made(dataset, "workflow.flow")
    assert relevant == ("core.chase",)
    assert [step.order for step in context["flow"].steps] == [1, 2]
    assert (context["flow"].name, context["flow"].requirement) == ("", "")


def test_elements_of_the_same_flow_are_near_misses(dataset):
    found = {item.query: item for item in dataset.stream(kinds=["step.annotation"])}
    assert found["tell them"].nearby == ("core.daily", "core.look_up_records", "core.for_each", "core.if", "core.update_record")
    assert found["say hello"].nearby == ("core.record_created",)


def test_each_kind_is_asked_with_its_own_template(dataset):
    instructions = InstructionSet.default()
    seen = set()
    for item in dataset.stream(kinds=FLOW_KINDS):
        prompt = make_prompt(item.query, item.element_type, item.context, instructions=instructions)
        assert prompt.template == item.kind
        seen.add(item.kind)
    assert seen == set(FLOW_KINDS)
    assert len(FLOW_KINDS) >= 15
    assert set(EVALUATED_KINDS) < set(FLOW_KINDS)


def test_ids_are_unique_and_begin_with_the_flow(dataset):
    ids = [item.id for item in dataset.stream(kinds=FLOW_KINDS)]
    assert len(ids) == len(set(ids))
    assert {name.partition("#")[0] for name in ids} == {"greet-0", "chase-1"}


def test_what_the_catalog_does_not_have_makes_no_query(tmp_path):
    folder = write_dataset(tmp_path)
    flow = Flow(
        name="odd",
        requirement="do it",
        trigger={"annotation": "", "definition": "core.daily"},
        steps=[
            {"annotation": "made up", "definition": "core.nothing", "order": 1},
            {"annotation": "no table", "definition": "core.look_up_records", "order": 2, "inputs": {"table": "none"}},
            {
                "annotation": "no field",
                "definition": "core.look_up_records",
                "order": 3,
                "inputs": {"table": "person", "conditions": "x=1"},
            },
            {"annotation": "later", "definition": "core.look_up_records", "order": 4, "inputs": {"table": "{{1.table}}"}},
        ],
    )
    dataset = Dataset(Dataset.from_path(folder).catalog, flows=[flow])
    assert [
        (item.kind, item.query, item.relevant)
        for item in dataset.stream(kinds=["step.annotation", "table.annotation", "field.table.annotation"])
    ] == [
        ("step.annotation", "no table", ("core.look_up_records",)),
        ("step.annotation", "no field", ("core.look_up_records",)),
        ("step.annotation", "later", ("core.look_up_records",)),
        ("table.annotation", "no field", ("core.person",)),
    ]
