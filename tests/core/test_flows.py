import string

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiretriever.core import Flow, FlowError, Step, Workflow, read_flows, write_flows
from multiretriever.core.flows import MAX_STEPS, parse_flows

EXAMPLE = """\
name: remind_caller
requirement: Remind the caller of an incident that waits for an answer
trigger:
  annotation: every morning
  definition: core.daily
  inputs: {time: 07:30:00}
steps:
  - annotation: find the incidents on hold
    definition: core.look_up_records
    order: 1
    inputs:
      table: incident
      conditions: state=on hold^active=true
  - annotation: for each of them
    definition: core.for_each
    order: 2
    inputs: {items: "{{1.records}}"}
  - annotation: send a mail
    definition: mail.send
    order: 3
    block: 2
    inputs:
      urgent: no
      retries: 3
      body: |
        Dear {{2.item.caller}},

          your incident waits: please answer.
"""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "no",
        "~",
        "1.10",
        "1e5",
        "0x1f",
        "12:30",
        "2024-01-01",
        "- a",
        "a: b",
        "# c",
        "a\n  b\n",
        "\n a",
        "---\na",
        "a\r\nb",
        "{x}",
        "'",
    ]
)
scalars = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
# Keys that another tool may have written, names of pydantic's and of our own methods among them.
extra_names = st.text(string.ascii_lowercase + "_-. ", min_size=1, max_size=8) | st.sampled_from(
    ["so_far", "copy", "no", "1", "to_yaml"]
)
known = set(Flow.model_fields) | {"annotation", "definition", "inputs", "order", "block"}
extras = st.dictionaries(extra_names.filter(lambda name: name not in known), values, max_size=2)


@st.composite
def flows(draw):
    orders = sorted(draw(st.sets(st.integers(1, 60), max_size=5)))
    steps = [
        {
            **draw(extras),
            "order": order,
            "annotation": draw(texts),
            "definition": draw(st.none() | texts),
            "block": draw(st.sampled_from([0, *orders[:index]])),
            "inputs": draw(st.dictionaries(texts, values, max_size=3)),
        }
        for index, order in enumerate(orders)
    ]
    trigger = draw(
        st.none() | st.fixed_dictionaries({"annotation": texts, "definition": texts, "inputs": st.dictionaries(texts, values)})
    )
    text_values = draw(st.fixed_dictionaries({name: texts for name in ("name", "label", "scope", "requirement")}))
    return Flow.model_validate({**draw(extras), **text_values, "trigger": trigger, "steps": steps})


@given(flows())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_flow_comes_back_from_yaml_and_from_the_index(flow):
    assert Flow.from_yaml(flow.to_yaml()) == flow
    stored = Workflow(name="w", flow=flow).model_dump_json(exclude_defaults=True)
    assert Workflow.model_validate_json(stored).flow == flow


def test_the_form_of_the_paper_is_read():
    flow = Flow.from_yaml(EXAMPLE)
    assert flow.requirement.startswith("Remind the caller")
    assert flow.trigger.definition == "core.daily"
    assert [(step.order, step.block, step.definition) for step in flow.steps] == [
        (1, 0, "core.look_up_records"),
        (2, 0, "core.for_each"),
        (3, 2, "mail.send"),
    ]
    assert flow.steps[2].inputs["body"] == "Dear {{2.item.caller}},\n\n  your incident waits: please answer.\n"


def test_multi_line_text_is_written_as_a_block_and_reads_back():
    text = "first line\n  indented\n\nlast: #no comment\n"
    flow = Flow(requirement=text, steps=[{"order": 1, "inputs": {"script": text}}])
    assert "|" in flow.to_yaml()
    assert "\\n" not in flow.to_yaml()
    assert Flow.from_yaml(flow.to_yaml()) == flow


def test_unknown_keys_are_kept_at_every_level():
    source = "author: kim\ntrigger: {x_id: 7, definition: t}\nsteps:\n  - {order: 1, ui: {x: 10, y: 1.5}, tags: [a, b]}\n"
    again = Flow.from_yaml(Flow.from_yaml(source).to_yaml())
    assert again.to_dict() == {
        "author": "kim",
        "trigger": {"x_id": 7, "definition": "t"},
        "steps": [{"order": 1, "ui": {"x": 10, "y": 1.5}, "tags": ["a", "b"]}],
    }


def test_three_hundred_nested_steps():
    steps = [
        {"order": order, "block": order - 1 if order % 10 != 1 else 0, "annotation": f"do {order}", "inputs": {"n": order}}
        for order in range(1, 301)
    ]
    flow = Flow(requirement="much", steps=steps)
    again = Flow.from_yaml(flow.to_yaml())
    assert again == flow
    assert len(again.so_far(250).steps) == 249
    assert again.steps[299].block == 299


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("3", 3),
        ("-3", -3),
        ("007", "007"),
        ("1.5", 1.5),
        ("1.10", "1.10"),
        ("1.0e+20", 1e20),
        ("12:30:45", "12:30:45"),
        ("2024-01-31", "2024-01-31"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ('"true"', "true"),
        ('"3"', "3"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ],
)
def test_plain_scalars_keep_what_was_meant(written, value):
    got = Flow.from_yaml(f"steps:\n  - order: 1\n    inputs:\n      x: {written}\n").steps[0].inputs["x"]
    assert got == value
    assert type(got) is type(value)


def test_names_and_annotations_stay_text():
    flow = Flow.from_yaml("name: 1.10\nscope: no\nsteps:\n  - {order: 1, annotation: 12:30, definition: on}\n")
    assert (flow.name, flow.scope) == ("1.10", "no")
    assert (flow.steps[0].annotation, flow.steps[0].definition) == ("12:30", "on")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: a\nname: b\n", 2, "appears twice"),
        ("a: &x 1\nb: *x\n", 2, "aliases"),
        ("name: a\nsteps:\n  - order: zero\n", 3, "order"),
        ("steps:\n  - order: 1\n  - order: 1\n", 1, "ascend"),
        ("steps:\n  - order: 1\n    block: 7\n", 1, "block 7"),
        ("steps: [1, 2\nname: x", 2, "not YAML"),
        ("name: x\nsteps:\n  - !!python/object:os.system {order: 1}\n", 3, "tag"),
        ("name: x\nsteps: {a: 1}\n", 2, "steps"),
        ("name: x\ntrigger: daily\n", 2, "trigger"),
        ("name: x\n? [a, b]\n: 1\n", 2, "key"),
        ("just text", 1, "flow"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, line, words):
    with pytest.raises(FlowError, match=words) as caught:
        Flow.from_yaml(text, source="flow.yaml")
    (problem,) = caught.value.problems
    assert problem.line == line
    assert problem.source == "flow.yaml"


def test_every_problem_of_every_document_is_listed():
    with pytest.raises(FlowError) as caught:
        parse_flows("steps: [{order: 0}]\n---\nname: fine\n---\nsteps: [{order: x}, {order: y}]\n")
    assert len(caught.value.problems) == 3
    assert [problem.line for problem in caught.value.problems] == [1, 5, 5]


def test_deep_nesting_and_unfolding_are_refused():
    with pytest.raises(FlowError, match="deeper"):
        Flow.from_yaml("x: " + "[" * 5_000 + "]" * 5_000)
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    with pytest.raises(FlowError, match="aliases"):
        Flow.from_yaml(bomb)


def test_too_many_steps_are_refused():
    with pytest.raises(FlowError, match="at most"):
        Flow.from_yaml("steps:\n" + f"{'- {}':>6}\n" * (MAX_STEPS + 1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {"a": ["\udfff"]}, object(), {1, 2}, b"x"])
def test_values_that_no_file_brings_back_are_refused(value):
    with pytest.raises(pydantic.ValidationError):
        Flow(steps=[{"order": 1, "inputs": {"x": value}}])
    with pytest.raises(pydantic.ValidationError):
        Flow.model_validate({"x_extra": value})


def test_a_flow_is_not_mistaken_for_several():
    with pytest.raises(FlowError, match="expected one flow, got 2"):
        Flow.from_yaml("name: a\n---\nname: b\n")
    assert [flow.name for flow in parse_flows("- name: a\n- name: b\n")] == ["a", "b"]


def test_files_and_folders(tmp_path):
    written = [Flow.from_yaml(EXAMPLE), Flow(requirement="a\n---\nb\n"), Flow()]
    write_flows(tmp_path / "all.yaml", written)
    assert read_flows(tmp_path / "all.yaml") == written
    (tmp_path / "sub").mkdir()
    write_flows(tmp_path / "sub" / "b.yml", [Flow(name="b")])
    assert len(read_flows(tmp_path)) == 4
    (tmp_path / "bad.yaml").write_text("name: [")
    with pytest.raises(FlowError, match=r"bad\.yaml"):
        read_flows(tmp_path)
    with pytest.raises(FlowError, match="no such file"):
        read_flows(tmp_path / "none.yaml")


def test_a_workflow_element_keeps_its_flow():
    step = Step(name="x")
    assert step == Step.model_validate_json(step.model_dump_json(exclude_defaults=True))
    flow = Flow.from_yaml(EXAMPLE)
    assert Workflow.model_validate(Workflow(name="w", flow=flow).model_dump()).flow == flow
