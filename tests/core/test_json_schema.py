import json

import pytest
from jsonschema import Draft202012Validator

from multiretriever.core import Catalog, CatalogError
from multiretriever.core.sources.openapi import openapi_arguments

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
"""


def write(folder, text, name="shop.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_an_operation_has_one_schema_of_parameters_and_body(tmp_path):
    path = write(tmp_path, DOCUMENT)
    schemas = openapi_arguments(path)
    assert set(schemas) == {step.id for step in Catalog.from_path(path).of("step")} == {"Shop.changeOrder"}
    schema = schemas["Shop.changeOrder"]
    Draft202012Validator.check_schema(schema)
    assert list(schema["properties"]) == ["orderId", "trace", "mode", "lines", "amount", "note"]
    assert schema["required"] == ["orderId", "lines", "amount"]
    assert schema["additionalProperties"] is False
    # Texts stay texts, whatever YAML makes of them, and a pattern of a document is never matched.
    assert schema["properties"]["mode"] == {"type": "string", "enum": ["on", "off", "1.10"]}
    assert schema["properties"]["orderId"] == {"type": "string", "minLength": 1, "description": "Id of the order"}
    assert schema["properties"]["amount"] == {"type": "number", "exclusiveMinimum": 0, "maximum": 10}
    assert schema["properties"]["note"] == {"type": ["string", "null"], "enum": ["short", "long", None]}


def test_a_schema_that_holds_itself_ends(tmp_path):
    schema = openapi_arguments(write(tmp_path, DOCUMENT))["Shop.changeOrder"]
    line = schema["properties"]["lines"]["items"]
    assert line["required"] == ["sku"]
    assert len(json.dumps(schema)) < 10_000
    validator = Draft202012Validator(schema)
    good = {"orderId": "1", "amount": 1, "lines": [{"sku": "a", "parts": [{"sku": "b"}]}]}
    assert not list(validator.iter_errors(good))
    assert list(validator.iter_errors({**good, "lines": [{"sku": "a", "parts": [{"sku": 1}]}]}))


@pytest.mark.parametrize(
    "keywords",
    [
        {"type": "file"},
        {"minimum": "x"},
        {"enum": "a"},
        {"required": 3},
        {"items": 7},
        {"minLength": -1},
        {"multipleOf": 0},
        {"anyOf": []},
    ],
)
def test_keywords_that_are_wrong_are_left_out(tmp_path, keywords):
    operation = {"operationId": "g", "parameters": [{"name": "a", "in": "query", "schema": keywords}]}
    text = json.dumps({"openapi": "3.1.0", "info": {"title": "X"}, "paths": {"/a": {"get": operation}}})
    schema = openapi_arguments(write(tmp_path, text, "x.json"))["X.g"]
    Draft202012Validator.check_schema(schema)
    assert schema["properties"] == {"a": {}}
    assert not list(Draft202012Validator(schema).iter_errors({"a": "anything"}))


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
    schema = openapi_arguments(write(tmp_path, json.dumps(document), "old.json"))["Old.p"]
    assert schema["properties"]["size"] == {"type": "integer", "enum": [1, 2]}
    assert schema["properties"]["body"] == {"type": "array", "items": {"type": "string"}}
    assert schema["required"] == ["size"]


def test_what_cannot_be_read_is_a_typed_error(tmp_path):
    with pytest.raises(CatalogError, match="paths"):
        openapi_arguments(write(tmp_path, "openapi: 3.1.0\ninfo: {title: X}\n"))
    with pytest.raises(CatalogError):
        openapi_arguments(tmp_path / "missing.json")
