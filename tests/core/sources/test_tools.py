import json

import pytest

from multiretriever.core.catalog import Catalog
from multiretriever.core.errors import CatalogError, ParameterError
from multiretriever.core.sources import ToolSource, tool_record

SEARCH = {
    "name": "search_issues",
    "title": "Search issues",
    "description": "Finds issues.",
    "inputSchema": {
        "type": "object",
        "required": ["query"],
        "$defs": {"Limit": {"type": "integer", "description": "At most so many."}},
        "properties": {
            "query": {"type": "string", "title": "Query", "description": "What to look for."},
            "limit": {"$ref": "#/$defs/Limit"},
            "state": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "self": {"$ref": "#"},
            "free": True,
        },
    },
    "outputSchema": {"type": "object"},
    "annotations": {"title": "Other title", "readOnlyHint": True, "priority": 0.5},
    "icons": [{"src": "x"}],
    "_meta": {"a": {"b": 1}},
    "server": "github",
}


@pytest.mark.parametrize("wrap", [lambda tools: tools, lambda tools: {"tools": tools}, lambda tools: iter(tools)])
def test_descriptions_become_steps(wrap, load):
    first, second = load(ToolSource(wrap([SEARCH, {"name": "ping", "annotations": {"title": "Ping"}}]), scope="github")).of(
        "step"
    )
    assert (first.id, first.label, first.description) == ("github.search_issues", "Search issues", "Finds issues.")
    assert [(item.name, item.type, item.required, item.label, item.description) for item in first.inputs] == [
        ("query", "string", True, "Query", "What to look for."),
        ("limit", "integer", False, "", "At most so many."),
        ("state", "string", False, "", ""),
        ("self", "object", False, "", ""),
        ("free", "any", False, "", ""),
    ]
    assert first.metadata == {"readOnlyHint": True, "priority": 0.5, "server": "github"}
    assert (second.label, second.inputs, second.scope) == ("Ping", (), "github")


def test_a_file_with_the_answer_of_a_server(write, load):
    answer = {"jsonrpc": "2.0", "id": 1, "result": {"tools": [SEARCH]}}
    assert load(ToolSource(write("tools.json", json.dumps(answer)))).counts == {"step": 1}
    assert (
        load(ToolSource(write("tools.json", json.dumps([{"name": "a", "input_schema": {"properties": {"x": {}}}}]))))
        .of("step")[0]
        .inputs
    )


def test_every_problem_is_reported_with_line_and_field(write, expect):
    text = """\
{"tools": [
  {"name": "a",
   "inputSchema": {"properties": {
     "x": {"type": "string",
           "description": 5}}}},
  {"name": ""},
  "text",
  {"description": "no name",
   "title": ["x"]},
  {"name": "b", "inputSchema":
    {"properties": []}},
  {"name": "c", "inputSchema": {"allOf": [
    {"$ref": "https://example.com/schema"},
    {"$ref": "#/$defs/none"}]}},
  {"name": "d", "annotations": []},
  {"name": "e", "annotations": {
    "nested": {"a": 1}}},
  {"name": "f", "desciption": "x"},
  {"name": "a"},
  {"name": "g", "inputSchema": "text"}
]}"""
    path = write("tools.json", text)
    expect(
        ToolSource(path),
        (5, "inputs[0].description", "must be text"),
        (6, "name", "blank"),
        (7, "tools[2]", "a tool is a mapping"),
        (8, "name", "missing"),
        (9, "label", "must be text"),
        (11, "inputSchema.properties", "expected a mapping of properties"),
        (13, "inputSchema.allOf[0].$ref", "leads out of the document"),
        (14, "inputSchema.allOf[1].$ref", "leads nowhere"),
        (15, "annotations", "must be a mapping"),
        (17, "metadata.nested", "metadata takes"),
        (18, "desciption", "'description' meant"),
        (20, "inputSchema", "expected a mapping as a schema"),
    )
    expect(ToolSource(write("twice.json", '[{"name": "a"},\n{"name": "a"}]')), (2, "id", "stands twice"))


@pytest.mark.parametrize(("tools", "message"), [({}, "a mapping"), ({"tools": {}}, "a mapping"), ({"tools": None}, "nothing")])
def test_values_that_hold_no_tools(tools, message, expect):
    expect(ToolSource(tools), (None, None, f"(got {message})"), path="tools")


def test_values_handed_over_by_code_are_checked(expect):
    expect(
        ToolSource([5, {"name": "a\ud800"}, {"name": "b", "annotations": {"x": float("nan")}}, {"name": "c", 7: 1}]),
        (None, "tools[0]", "a tool is a mapping"),
        (None, "name", "unicode"),
        (None, "metadata", "finite"),
        (None, None, "keys must be text (got 7)"),
        path="tools",
    )


def test_no_tools_at_all_are_a_problem(expect):
    expect(ToolSource([]), (None, None, "no element"), path="tools")


def test_what_is_no_list_is_a_parameter_error():
    with pytest.raises(ParameterError, match="got int"):
        ToolSource(5)


def test_the_record_of_a_tool_object():
    record = tool_record("a", "Does it.", SEARCH["inputSchema"], "agent", title="A")
    (step,) = Catalog.from_records([record]).of("step")
    assert (step.id, step.label, len(step.inputs)) == ("agent.a", "A", 5)
    with pytest.raises(CatalogError, match="expected a mapping of properties"):
        tool_record("a", schema={"properties": 5})
