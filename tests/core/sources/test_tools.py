import json

import pytest

from multiretriever.core.errors import ParameterError
from multiretriever.core.sources import ToolSource

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


def test_every_problem_is_reported_with_its_path(write, expect):
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
        (None, "tools[2]", "expected a mapping as a tool, got 'text'"),
        (None, "tools[4].inputSchema.properties", "expected a mapping of properties, got a list"),
        (None, "tools[5].inputSchema.allOf[0].$ref", "leads out of the document"),
        (None, "tools[5].inputSchema.allOf[1].$ref", "leads nowhere"),
        (None, "tools[6].annotations", "must be a mapping"),
        (None, "tools[10].inputSchema", "expected a mapping as a schema, got 'text'"),
        (None, "tools[0].inputSchema.properties.x.description", "must be text"),
        (None, "tools[1].name", "blank"),
        (None, "tools[3].name", "missing"),
        (None, "tools[3].title", "must be text"),
        (None, "tools[7].annotations.nested", "metadata takes"),
        (None, "tools[8].desciption", "'description' meant"),
    )
    expect(ToolSource(write("twice.json", '[{"name": "a"},\n{"name": "a"}]')), (None, "[1].id", "twice.json: [0]"))


@pytest.mark.parametrize(("tools", "message"), [({}, "a mapping"), ({"tools": {}}, "a mapping"), ({"tools": None}, "nothing")])
def test_values_that_hold_no_tools(tools, message, expect):
    expect(ToolSource(tools), (None, None, f"got {message}"), path="tools")


def test_values_handed_over_by_code_are_checked(expect):
    expect(
        ToolSource([5, {"name": "a\ud800"}, {"name": "b", "annotations": {"x": float("nan")}}, {"name": "c", 7: 1}]),
        (None, "[0]", "expected a mapping as a tool, got a number"),
        (None, "[1].name", "unicode"),
        (None, "[2].annotations", "finite"),
        (None, "[3]", "keys must be text (got 7)"),
        path="tools",
    )


def test_no_tools_at_all_are_a_problem(expect):
    expect(ToolSource([]), (None, None, "no element"), path="tools")


def test_what_is_no_list_is_a_parameter_error():
    with pytest.raises(ParameterError, match="expected a list of descriptions or a path, got int"):
        ToolSource(5)
