import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiretriever.core.sources import JsonSource
from multiretriever.core.sources.files import parse_json


def test_one_element_a_line_with_its_type(write, load):
    text = (
        '{"element_type": "step", "name": "a", "label": "A\u2028B", "category": "x"}\r\n\n'
        '{"element_type": "table", "name": "t", "fields": [{"name": "f", "data_type": "text"}]}\n'
    )
    catalog = load(JsonSource(write("mixed.ndjson", text)))
    assert catalog.counts == {"step": 1, "table": 1, "field": 1}
    assert catalog.of("step")[0].label == "A\u2028B"
    assert catalog.of("step")[0].metadata == {"category": "x"}
    assert catalog.of("field")[0].table == "t"


@pytest.mark.parametrize("name", ["step.jsonl", "steps.JSONL", "steps.ndjson"])
def test_the_file_is_named_after_the_type(name, write, load):
    assert load(JsonSource(write(name, '\ufeff{"name": "a"}\n{"name": "b"}'))).counts == {"step": 2}


def test_a_list_of_elements_and_a_mapping_of_lists(write, load):
    elements = [
        {"element_type": "workflow", "name": "a", "kind": "flow", "size": 3, "old": None},
        {"element_type": "step", "name": "b"},
    ]
    catalog = load(JsonSource(write("all.json", json.dumps(elements))))
    assert catalog.counts == {"workflow": 1, "step": 1}
    assert catalog.of("workflow")[0].metadata == {"kind": "flow", "size": 3}
    assert load(JsonSource(write("steps.json", '[{"name": "a"}]'))).counts == {"step": 1}
    mapping = {"scope": "s", "tables": [{"name": "t", "fields": [{"name": "f"}]}]}
    assert load(JsonSource(write("c.json", json.dumps(mapping)))).get("field", "s.t.f") is not None


def test_a_workflow_carries_its_flow(write, load):
    text = '{"name": "a", "flow": {"requirement": "r", "steps": [{"annotation": "x", "order": 1}]}}'
    assert load(JsonSource(write("workflow.jsonl", text))).of("workflow")[0].flow.steps[0].annotation == "x"


def test_every_bad_line_is_reported(write, expect):
    lines = [
        '{"name": "a"}',
        '{"name": "b", "name": "c"}',
        '{"name": "d", "x": NaN}',
        '{"name": "e",',
        '{"name": "\\udc00"}',
        "[1]",
        '{"name": 5}',
        '{"name": ""}',
        '{"name": "f", "kind": "x", "inputs": [{"name": "i"}, {"type": 3}]}',
        '{"name": "a"}',
        '{"name": "g", "element_type": "table"}',
        '{"name": "h", "x": 1e400}',
        '{"name": "i", "\\ud800": 1}',
        '{"name": "j", "x": 99999999999999999999}',
    ]
    path = write("step.jsonl", "\n".join(lines))
    expect(
        JsonSource(path),
        (2, "name", "'name' appears twice"),
        (3, "x", "NaN"),
        (4, None, "not JSON"),
        (5, "name", "surrogate"),
        (6, None, "a mapping of keys to values"),
        (7, "name", "must be text"),
        (8, "name", "blank"),
        (9, "kind", "'action'"),
        (9, "inputs[1].name", "missing"),
        (9, "inputs[1].type", "text"),
        (10, "id", f"first: {path}:1"),
        (11, "element_type", "among elements of type 'step'"),
        (12, "x", "too large"),
        (13, "\\ud800", "surrogate"),
        (14, "metadata", "64 bits"),
    )


def test_a_problem_inside_a_json_document_has_its_path(write, expect):
    text = """\
[
  {"element_type": "step", "name": "a"},
  {
    "element_type": "step",
    "name": "b\\n\\"{[,:",
    "inputs": [
      {"name": "x"},
      {"name": "y",
       "required": "perhaps"}
    ],
    "kind": "wrong"
  },
  7,
  {"name": "c"},
  {"element_type": "stap", "name": "d"},
  {"element_type": ["step"], "name": "d"},
  {"element_type": "", "name": "d"}
]"""
    expect(
        JsonSource(write("all.json", text)),
        (None, "[2]", "expected a mapping of keys to values, got a number"),
        (None, "[3].element_type", "missing"),
        (None, "[5].element_type", "must be text"),
        (None, "[6].element_type", "blank"),
        (None, "[1].kind", "wrong"),
        (None, "[1].inputs[1].required", "perhaps"),
        (None, "[4].element_type", "unknown element type 'stap'"),
    )


def test_references_of_fields_and_tables_have_paths(write, expect):
    tables = '{"tables": [{"name": "a", "extends": "a"},\n{"name": "b",\n"extends": "no"}],\n'
    text = tables + '"fields": [{"name": "f", "table":\n "none"}]}'
    expect(
        JsonSource(write("c.json", text)),
        (None, "tables[0].extends", "a -> a"),
        (None, "tables[1].extends", "'no'"),
        (None, "fields[0].table", "'none'"),
    )


@pytest.mark.parametrize(("text", "message"), [("5", "a number"), ('"x"', "'x'"), ("null", "nothing"), ("true", "true or false")])
def test_another_top_level_type_is_a_problem(text, message, write, expect):
    expect(JsonSource(write("c.json", text)), (None, None, f"got {message}"))


def test_an_empty_list_holds_no_element(write, expect):
    expect(JsonSource(write("c.json", "[]")), (None, None, "no element"))


def test_many_bad_elements_are_reported_in_seconds(write, refuse):
    text = "[" + ",\n".join('{"element_type": "step", "kind": "x", "name": "a"}' for _ in range(5000)) + "]"
    problems = refuse(JsonSource(write("c.json", text)))
    assert [item.field for item in problems] == [f"[{number}].kind" for number in range(5000)]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, max_examples=60)
@given(VALUES, st.sampled_from(["NaN", "-Infinity", "1e999", '"\\ud800"', '{"a": 1, "a": 2}']))
def test_every_value_is_read_and_every_fault_has_its_path(value, fault):
    text = json.dumps(value)
    assert parse_json(text, "x").value == value
    problems = parse_json(f'{{"good": {text}, "bad": [{text}, {fault}, {text}]}}', "x")
    assert [problem.field for problem in problems] == ["bad[1].a" if "{" in fault else "bad[1]"]
    assert problems[0].line is None
