"""The JSON schema that a step keeps of its inputs."""

import json
import time

import pytest
from jsonschema import Draft202012Validator

from encoders import WordEncoder
from multiretriever.core import Catalog, Index, MultiRetriever, Step, element_type
from multiretriever.core.index.schema import filter_values, make_row
from multiretriever.core.input_schema import MAX_SCHEMA
from multiretriever.core.sources import ToolSource

DOCUMENT = """
openapi: 3.0.3
info: {title: Shop, version: "1"}
paths:
  /orders/{orderId}:
    parameters:
      - name: orderId
        in: path
        required: true
        description: Id of the order
        schema: {type: string, minLength: 1, pattern: "(a+)+$"}
      - {$ref: "#/components/parameters/Trace"}
    post:
      operationId: changeOrder
      parameters:
        - {name: mode, in: query, schema: {type: string, enum: [on, off, 1.10]}}
      requestBody: {$ref: "#/components/requestBodies/Change"}
components:
  parameters:
    Trace: {name: trace, in: header, schema: {type: boolean}}
  requestBodies:
    Change:
      content:
        text/plain: {schema: {type: string}}
        application/json: {schema: {$ref: "#/components/schemas/Change"}}
  schemas:
    Change:
      required: [lines, amount]
      allOf:
        - properties:
            amount: {type: number, minimum: 0, exclusiveMinimum: true, maximum: 10}
            note: {type: string, nullable: true, enum: [short, long]}
            id: {type: string, readOnly: true}
      properties:
        lines: {type: array, minItems: 1, items: {$ref: "#/components/schemas/Line"}}
    Line:
      type: object
      required: [sku]
      properties: {sku: {type: string}, parts: {type: array, items: {$ref: "#/components/schemas/Line"}}}
    Unused: {type: object}
"""


def steps_of(folder, document, name="shop.yaml"):
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return {step.id: step for step in Catalog.from_path(path).of("step")}


def schema_of(folder, schema, **components):
    """Returns the schema of an operation whose body has the one property ``a`` of a schema."""
    body = {"content": {"application/json": {"schema": {"properties": {"a": schema}}}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "X"},
        "paths": {"/a": {"post": {"operationId": "g", "requestBody": body}}},
        "components": {"schemas": components},
    }
    found = steps_of(folder, document, "x.json")["X.g"].input_schema
    Draft202012Validator.check_schema(found)
    assert len(json.dumps(found)) <= MAX_SCHEMA
    # What was written once is written the same again: from an index, a catalog file, a copy.
    assert Step(name="g", input_schema=found).input_schema == found
    return found


def fits(schema, value):
    return Draft202012Validator(schema).is_valid(value)


def test_an_operation_has_one_schema_of_parameters_and_body(tmp_path):
    steps = steps_of(tmp_path, DOCUMENT)
    assert set(steps) == {"Shop.changeOrder"}
    schema = steps["Shop.changeOrder"].input_schema
    Draft202012Validator.check_schema(schema)
    assert list(schema["properties"]) == ["orderId", "trace", "mode", "lines", "amount", "note"]
    assert schema["required"] == ["orderId", "lines", "amount"]
    assert schema["additionalProperties"] is False
    # Texts stay texts, whatever YAML makes of them, and a pattern of a document is never matched.
    assert schema["properties"]["mode"] == {"type": "string", "enum": ["on", "off", "1.10"]}
    assert schema["properties"]["orderId"] == {"type": "string", "minLength": 1, "description": "Id of the order"}
    assert schema["properties"]["amount"] == {"type": "number", "exclusiveMinimum": 0, "maximum": 10}
    assert schema["properties"]["note"] == {"type": ["string", "null"], "enum": ["short", "long", None]}


def test_a_reference_stays_one_and_a_schema_may_hold_itself(tmp_path):
    schema = steps_of(tmp_path, DOCUMENT)["Shop.changeOrder"].input_schema
    line = {"$ref": "#/$defs/Line"}
    assert schema["properties"]["lines"] == {"type": "array", "minItems": 1, "items": line}
    assert list(schema["$defs"]) == ["Line"]
    assert schema["$defs"]["Line"]["properties"]["parts"] == {"type": "array", "items": line}
    good = {"orderId": "1", "amount": 1, "lines": [{"sku": "a", "parts": [{"sku": "b"}]}]}
    assert fits(schema, good)
    assert not fits(schema, {**good, "lines": [{"sku": "a", "parts": [{"sku": 1}]}]})


@pytest.mark.parametrize(
    "keywords",
    [
        {"type": "file"},
        {"type": {"a": 1}},
        {"minimum": "x"},
        {"enum": "a"},
        {"required": 3},
        {"items": 7},
        {"minLength": -1},
        {"minLength": 1.5},
        {"multipleOf": 0},
        {"anyOf": []},
        {"pattern": "(a+)+$", "patternProperties": {"(a+)+$": {}}},
        {"not": {}},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/components/schemas/None"},
        {"$ref": "#/components/schemas/Loop"},
        {"$ref": 5},
        True,
    ],
)
def test_keywords_that_are_wrong_are_left_out(tmp_path, keywords):
    schema = schema_of(tmp_path, keywords, Loop={"$ref": "#/components/schemas/Loop"})
    assert schema["properties"] == {"a": {}}
    assert "$defs" not in schema
    assert fits(schema, {"a": "anything"})


def test_alternatives_titles_defaults_and_closed_objects_are_kept(tmp_path):
    part = {
        "title": "Where",
        "anyOf": [{"type": "string", "format": "email"}, {"$ref": "#/components/schemas/Place", "description": "A place."}],
        "default": "home",
    }
    place = {"type": "object", "properties": {"x": {"const": 1}}, "additionalProperties": False}
    schema = schema_of(tmp_path, part, Place=place)
    reference = {"$ref": "#/$defs/Place", "description": "A place."}
    assert schema["properties"]["a"] == {**part, "anyOf": [part["anyOf"][0], reference]}
    assert schema["$defs"] == {"Place": place}
    assert fits(schema, {"a": {"x": 1}})
    assert not fits(schema, {"a": {"y": 1}})


def test_definitions_of_one_name_are_told_apart(tmp_path):
    document = {
        "openapi": "3.1.0",
        "paths": {
            "/a": {
                "get": {
                    "operationId": "g",
                    "parameters": [
                        {"name": "a", "in": "query", "schema": {"$ref": "#/components/schemas/Id"}},
                        {"name": "b", "in": "query", "schema": {"$ref": "#/components/x-old/Id"}},
                        {"name": "c", "in": "query", "schema": {"$ref": "#/components/schemas/a~1b%20c"}},
                    ],
                }
            }
        },
        "components": {"schemas": {"Id": {"type": "string"}, "a/b c": {"type": "null"}}, "x-old": {"Id": {"type": "integer"}}},
    }
    (step,) = steps_of(tmp_path, document, "x.json").values()
    assert step.input_schema["$defs"] == {"Id": {"type": "string"}, "Id_2": {"type": "integer"}, "a_b_c": {"type": "null"}}
    assert fits(step.input_schema, {"a": "x", "b": 1, "c": None})
    assert not fits(step.input_schema, {"b": "x"})


PET = {"type": "object", "required": ["id", "name"], "properties": {"id": {"readOnly": True}, "name": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": False}, {"x-a": "b"}),
        ({"patternProperties": {"^x-": {}}, "additionalProperties": {"type": "integer"}}, {"x-a": "b"}),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, ["a", 1]),
        ({"nullable": True, "allOf": [{"$ref": "#/components/schemas/Pet"}]}, None),
        ({"nullable": True, "type": "string", "oneOf": [{"enum": ["x"]}, {"enum": ["y"]}]}, None),
        ({"nullable": True, "anyOf": [{"type": "string"}]}, None),
        ({"$ref": "#/components/schemas/Pet"}, {"name": "Rex"}),
        ({"type": ["string", "string", "null"]}, None),
        ({"required": ["q", "q"]}, {"q": 1}),
    ],
)
def test_what_fits_the_whole_fits_what_is_kept(tmp_path, schema, value):
    assert fits(schema_of(tmp_path, schema, Pet=PET), {"a": value})


def test_what_may_be_null_is_checked_where_it_is_not(tmp_path):
    schema = schema_of(tmp_path, {"nullable": True, "allOf": [{"$ref": "#/components/schemas/Pet"}]}, Pet=PET)
    assert fits(schema, {"a": {"name": "Rex"}})
    assert not fits(schema, {"a": {"name": 5}})


@pytest.mark.parametrize(
    "body",
    [
        {"oneOf": [{"properties": {"x": {}}}, {"properties": {"y": {}}}]},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object"},
        {"allOf": [{"properties": {"y": {}}}, {"anyOf": [{"properties": {"x": {}}}]}]},
        {"properties": {"y": {}}, "additionalProperties": True},
    ],
)
def test_a_body_that_names_not_all_of_it_is_open(tmp_path, body):
    content = {"text/plain": {"schema": {"type": "string"}}, "application/json": {"schema": body}, "a/json": {}}
    operation = {"operationId": "g", "requestBody": {"content": content}}
    document = {"openapi": "3.1.0", "info": {"title": "X"}, "paths": {"/a": {"post": operation}}}
    assert fits(steps_of(tmp_path, document, "x.json")["X.g"].input_schema, {"x": "a"})


def test_swagger_2(tmp_path):
    document = {
        "swagger": "2.0",
        "info": {"title": "Old"},
        "paths": {
            "/a": {
                "post": {
                    "operationId": "p",
                    "parameters": [
                        {"name": "size", "in": "query", "type": "integer", "required": True, "enum": [1, 2]},
                        {"name": "body", "in": "body", "schema": {"type": "array", "items": {"type": "string"}}},
                    ],
                }
            }
        },
    }
    schema = steps_of(tmp_path, document, "old.json")["Old.p"].input_schema
    assert schema["properties"]["size"] == {"type": "integer", "enum": [1, 2]}
    assert schema["properties"]["body"] == {"type": "array", "items": {"type": "string"}}
    assert schema["required"] == ["size"]


class TestHostileDocuments:
    """A few kilobytes that unfold to megabytes, or take minutes to unfold, where references are put in place."""

    def timed(self, folder, schema, **components):
        start = time.perf_counter()
        found = schema_of(folder, schema, **components)
        assert time.perf_counter() - start < 2  # milliseconds; another process may run beside
        return found

    def test_a_node_of_nodes(self, tmp_path):
        reference = {"$ref": "#/components/schemas/Node"}
        node = {"type": "object", "properties": {name: reference for name in "abcd"}}
        schema = self.timed(tmp_path, reference, Node=node)
        assert len(json.dumps(schema)) < 500
        assert fits(schema, {"a": {"a": {"b": {}}}})
        assert not fits(schema, {"a": {"a": {"b": 1}}})

    def test_wide_alternatives_of_alternatives(self, tmp_path):
        wide = {f"S{level}": {"anyOf": [{"$ref": f"#/components/schemas/S{level + 1}"}] * 40} for level in range(8)}
        schema = self.timed(tmp_path, {"$ref": "#/components/schemas/S0"}, **wide, S8={"description": "Anything."})
        assert len(schema["$defs"]) == 9

    def test_alternatives_nested_in_place(self, tmp_path):
        part = {}
        for _ in range(10):
            part = {"anyOf": [part, part]}
        schema = self.timed(tmp_path, part)
        assert fits(schema, {"a": 1})

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(20_000)}},
            {"type": "string", "enum": [f"v{n}" for n in range(20_000)]},
            {"type": "string", "description": "x" * 100_000},
        ],
    )
    def test_what_is_too_large_keeps_its_type(self, tmp_path, part):
        schema = self.timed(tmp_path, {"type": "object", "properties": {"small": {"type": "integer"}, "large": part}})
        inner = schema["properties"]["a"]["properties"]
        assert inner == {"small": {"type": "integer"}, "large": {"type": part["type"]}}

    def test_of_more_properties_than_there_is_room_for_the_required_ones_are_kept(self, tmp_path):
        names = [f"property_{number}" for number in range(5_000)]
        tool = {"name": "a", "inputSchema": {"properties": {name: {"type": "string"} for name in names}, "required": names[-3:]}}
        (step,) = Catalog.from_source(ToolSource([tool])).of("step")
        schema = step.input_schema
        assert MAX_SCHEMA - 1_000 < len(json.dumps(schema)) <= MAX_SCHEMA
        assert schema["required"] == names[-3:]
        assert Step(name="a", input_schema=schema).input_schema == schema
        assert fits(schema, {name: "x" for name in names})
        assert not fits(schema, {name: "x" for name in names[:-1]})

    def test_what_is_near_is_kept_before_what_is_deep(self, tmp_path):
        def tree(depth):
            if depth == 0:
                return {"type": "string", "enum": ["x" * 50]}
            return {"type": "object", "properties": {name: tree(depth - 1) for name in "abcdef"}}

        schema = self.timed(tmp_path, tree(5))
        assert len(json.dumps(schema)) > MAX_SCHEMA / 2
        near = schema["properties"]["a"]["properties"]
        assert all(set(part["properties"]) == set("abcdef") for part in near.values())
        assert fits(schema, {"a": {name: {} for name in "abcdef"}})
        assert not fits(schema, {"a": {"a": 1}})

    def test_thousands_of_operations_share_a_large_schema(self, tmp_path):
        large = {"type": "object", "properties": {f"p{n}": {"type": "string", "description": "x" * 100} for n in range(5_000)}}
        parameter = {"name": "p", "in": "query", "schema": {"$ref": "#/components/schemas/Large"}}
        document = {
            "openapi": "3.1.0",
            "paths": {f"/{n}": {"get": {"parameters": [parameter]}} for n in range(2_000)},
            "components": {"schemas": {"Large": large}},
        }
        start = time.perf_counter()
        steps = steps_of(tmp_path, document, "x.json")
        assert time.perf_counter() - start < 10
        assert {str(step.input_schema["properties"]) for step in steps.values()} == {"{'p': {'$ref': '#/$defs/Large'}}"}

    def test_deep_ones_keep_what_can_be_read_back(self):
        schema = {"type": "object"}
        for _ in range(5_000):
            schema = {"type": "object", "properties": {"a": schema}}
        step = Step(name="a", input_schema=schema)
        assert Step.model_validate_json(step.model_dump_json()) == step


class TestTools:
    SCHEMA = {
        "type": "object",
        "properties": {"to": {"$ref": "#/$defs/Address", "title": "To"}, "parts": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["to"],
        "$defs": {"Address": {"type": "string", "format": "email", "pattern": "(a+)+$"}, "Unused": {}},
    }

    def schema(self, schema):
        (step,) = Catalog.from_source(ToolSource([{"name": "send", "inputSchema": schema}])).of("step")
        return step.input_schema

    def test_a_tool_keeps_its_schema(self):
        schema = self.schema(self.SCHEMA)
        assert schema["properties"] == {
            "to": {"title": "To", "$ref": "#/$defs/Address"},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/Schema"}},
        }
        assert schema["$defs"]["Address"] == {"type": "string", "format": "email"}
        assert set(schema["$defs"]) == {"Address", "Schema"}
        assert (schema["required"], schema["additionalProperties"]) == (["to"], False)
        assert fits(schema, {"to": "a", "parts": [{"to": "b"}]})
        assert not fits(schema, {"to": "a", "parts": [{"to": 1}]})
        assert not fits(schema, {"to": "a", "cc": "b"})

    def test_what_a_tool_allows_beside_its_properties_is_allowed(self):
        assert self.schema({"type": "object", "additionalProperties": {"type": "integer"}}) == {
            "type": "object",
            "properties": {},
            "required": [],
            "additionalProperties": {"type": "integer"},
        }
        either = {"oneOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}]}
        schema = self.schema({"type": "object", **either})
        assert fits(schema, {"a": 1})
        assert not fits(schema, {})

    def test_a_schema_that_says_nothing_of_its_properties_takes_any(self):
        (step,) = Catalog.from_source(ToolSource([{"name": "a", "inputSchema": {"type": "object"}}])).of("step")
        assert fits(step.input_schema, {"x": 1})
        (step,) = Catalog.from_source(ToolSource([{"name": "a", "inputSchema": {"type": "object", "properties": {}}}])).of("step")
        assert not fits(step.input_schema, {"x": 1})

    def test_one_of_python_may_hold_itself(self):
        schema = {"type": "object", "properties": {"a": {"type": "string"}}, "allOf": []}
        schema["allOf"].append(schema)
        schema["properties"]["b"] = schema
        (step,) = Catalog.from_source(ToolSource([{"name": "a", "inputSchema": schema}])).of("step")
        assert [item.name for item in step.inputs] == ["a", "b"]
        assert len(json.dumps(Step(name="a", input_schema=schema).input_schema)) <= MAX_SCHEMA

    def test_it_is_written_once_and_not_at_every_search(self, monkeypatch):
        tool = {"name": "a", "inputSchema": {"properties": {"x": {"type": "string"}}}}
        catalog = Catalog.from_source(ToolSource([tool]))
        with Index.from_catalog(catalog, encoder=WordEncoder()) as index:
            monkeypatch.setattr("multiretriever.core.elements.bounded_schema", lambda _: pytest.fail("written again"))
            (hit,) = MultiRetriever(index).retrieve("a", "step", k=1)
            assert hit.element == next(iter(index.catalog().of("step"))) == next(iter(Catalog.from_source(ToolSource([tool]))))

    def test_a_tool_without_a_schema_has_none(self):
        assert self.schema(None) is None


class TestStep:
    def test_a_catalog_file_may_state_it(self, tmp_path):
        given = {"type": "object", "properties": {"on": {"type": "string", "enum": ["on", "1.10"]}, "n": {"minimum": 1}}}
        written = "{type: object, properties: {on: {type: string, enum: [on, 1.10]}, n: {minimum: 1}}}"
        text = f"steps:\n  - name: a\n    input_schema: {written}\n"
        (step,) = steps_of(tmp_path, text, "c.yaml").values()
        assert step.input_schema == given

    @pytest.mark.parametrize("value", [{"type": "string"}, {"type": ["object", "null"]}, 5, "text", []])
    def test_a_schema_of_something_else_than_an_object_is_refused(self, value):
        with pytest.raises(ValueError, match="input_schema"):
            Step(name="a", input_schema=value)

    @pytest.mark.parametrize(
        "value", [float("nan"), {1, 2}, object(), "\ud800", 10**5000], ids=["nan", "set", "object", "half", "long"]
    )
    def test_values_that_json_does_not_hold_are_left_out(self, value):
        step = Step(name="a", input_schema={"type": "object", "properties": {"a": {"default": value}, "\ud800": {}}})
        assert Step.model_validate_json(step.model_dump_json()) == step

    def test_it_changes_neither_the_text_nor_the_filters_nor_other_steps(self):
        kind = element_type("step")
        plain = Step(scope="s", name="send", label="Send", metadata={"m": 1})
        schema = {"type": "object", "properties": {"to": {"description": "Who it goes to."}}}
        full = Step(**plain.model_dump(exclude={"input_schema"}), input_schema=schema)
        assert make_row(full, kind).text_hash == make_row(plain, kind).text_hash
        assert filter_values(full, kind) == filter_values(plain, kind)
        # As the last release wrote it.
        assert plain.model_dump_json(exclude_defaults=True) == (
            '{"id":"s.send","scope":"s","name":"send","label":"Send","metadata":{"m":1}}'
        )

    def test_an_index_of_the_last_release_is_not_embedded_anew(self, tmp_path):
        encoder = WordEncoder()
        plain = Step(scope="s", name="send")
        full = plain.model_copy(update={"input_schema": {"type": "object", "properties": {"to": {"type": "string"}}}})
        Index.from_catalog(Catalog([plain]), tmp_path / "index", encoder=encoder).close()
        embedded = encoder.documents
        with Index.from_catalog(Catalog([full]), tmp_path / "index", encoder=encoder) as index:
            (hit,) = MultiRetriever(index).retrieve("send", "step")
        assert hit.element == full
        assert encoder.documents == embedded == 1
