import pytest

from multiretriever.core.sources import FlowSource

FLOW = """\
name: visitor_wifi
label: Visitor Wi-Fi
scope: network
requirement: Give a visitor access for a day.
trigger:
  annotation: when a visit is booked
  definition: core.record_created
steps:
  - annotation: look up the host
    definition: core.look_up_records
    inputs: {table: user, limit: 1}
  - annotation: for each one
    definition: core.for_each
  - {annotation: make a voucher, block: 2}
"""


def test_a_flow_becomes_a_workflow_that_carries_it(write, load):
    (workflow,) = load(FlowSource(write("a.yaml", FLOW))).of("workflow")
    assert (workflow.id, workflow.label, workflow.description) == ("network.visitor_wifi", "Visitor Wi-Fi", "")
    assert [step.order for step in workflow.flow.steps] == [1, 2, 3]
    assert workflow.flow.steps[0].inputs == {"table": "user", "limit": 1}
    assert workflow.flow.requirement == "Give a visitor access for a day."


def test_a_flow_without_a_name_is_named_after_its_file(write, load):
    (workflow,) = load(FlowSource(write("reset_password.yaml", "requirement: Reset it.\nname:\n"))).of("workflow")
    assert workflow.name == "reset_password"


def test_several_flows_in_a_file_and_a_folder_of_files(write, load, tmp_path):
    write("a.yaml", "name: no\nsteps: []\n---\nname: 1.10\nsteps: []\n---\n")
    write("sub/b.yml", "- {name: 12:30, steps: []}\n- {name: d, trigger: {annotation: daily}}\n")
    write(".hidden/c.yaml", "name: hidden\nsteps: []\n")
    write("notes.txt", "no flow")
    assert [item.name for item in load(FlowSource(tmp_path)).of("workflow")] == ["no", "1.10", "12:30", "d"]


def test_every_problem_of_every_flow_is_reported_with_line_and_field(write, expect):
    text = """\
name: a
requirment: x
steps:
  - annotation: [x]
  - {order: first}
---
- name: b
  steps:
    - {order: 2}
    - {order: 1}
- text
- {name: c, label: only}
- requirement: without name
- {name: " ", steps: []}
"""
    path = write("flows.yaml", text)
    expect(
        FlowSource(path),
        (2, "requirment", "was 'requirement' meant"),
        (4, "steps[0].annotation", "text"),
        (5, "steps[1].order", "integer"),
        (8, "steps", "order 1 follows order 2"),
        (11, None, "expected a mapping as a flow"),
        (12, None, "needs steps, a trigger or a requirement"),
        (13, "name", "each of several flows"),
        (14, "name", "blank"),
    )


def test_two_flows_of_one_name_are_reported_at_the_second(write, expect):
    path = write("flows.yaml", "name: a\nsteps: []\n---\n\nname: a\nsteps: []\n")
    expect(FlowSource(path), (5, "id", f"first: {path}:1"))


@pytest.mark.parametrize(("text", "message"), [("# nothing\n", "no flow"), ("---\n---\n", "no flow"), ("[]\n", "no flow")])
def test_a_file_without_a_flow_is_a_problem(text, message, write, expect):
    expect(FlowSource(write("a.yaml", text)), (None, None, message))


def test_a_folder_without_flows_is_a_problem(tmp_path, expect):
    expect(FlowSource(tmp_path), (None, None, "no flow"))
