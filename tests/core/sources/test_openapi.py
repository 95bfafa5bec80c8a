import json
import time

import pytest

from multiretriever.core.sources import OpenApiSource

PETS = """\
openapi: 3.1.0
info: {title: Pet Store, version: "1"}
paths:
  /pets/{id}:
    summary: One pet
    parameters:
      - $ref: '#/components/parameters/Id'
      - {name: lang, in: query, description: Language, schema: {type: string}}
    get:
      operationId: getPet
      summary: Get a pet
      description: Finds it.
      tags: [pets, animals]
      parameters:
        - {name: lang, in: query, required: true, schema: {type: [ "null", integer ]}}
    post:
      deprecated: true
      requestBody:
        $ref: '#/components/requestBodies/Pet'
    x-note: ignored
  /alias~/{x}:
    $ref: '#/paths/~1pets~1%7Bid%7D'
  /names:
    put:
      operationId: no
      summary: 12:30
      requestBody:
        content:
          application/json: {schema: {type: array, items: {type: string}}}
  x-extension: ignored
components:
  parameters:
    Id: {name: id, in: path, required: true, schema: {$ref: '#/components/schemas/Id'}}
  requestBodies:
    Pet:
      content:
        text/plain: {schema: {type: string}}
        application/vnd.pet+json: {schema: {$ref: '#/components/schemas/Pet'}}
  schemas:
    Id: {type: string}
    Named:
      required: [name]
      properties:
        name: {type: string, title: Name, description: What it is called.}
    Pet:
      allOf:
        - $ref: '#/components/schemas/Named'
        - properties:
            parent: {$ref: '#/components/schemas/Pet', description: Its mother.}
            created: {type: string, readOnly: true}
            size: {anyOf: [{type: "null"}, {$ref: '#/components/schemas/Size'}]}
    Size: {type: number}
"""


def test_operations_become_steps_with_inputs_and_metadata(write, load):
    text = PETS.replace("  /alias~/{x}:\n    $ref: '#/paths/~1pets~1%7Bid%7D'\n", "")
    catalog = load(OpenApiSource(write("api.yaml", text)))
    get, post, put = catalog.of("step")
    assert (get.id, get.label, get.description) == ("Pet Store.getPet", "Get a pet", "Finds it.")
    assert get.metadata == {"method": "GET", "path": "/pets/{id}", "tag": "pets", "deprecated": False}
    assert [(item.name, item.type, item.required) for item in get.inputs] == [("id", "string", True), ("lang", "integer", True)]
    assert post.name == "POST /pets/{id}"
    assert post.metadata == {"method": "POST", "path": "/pets/{id}", "deprecated": True}
    assert [(item.name, item.type, item.required, item.label, item.description) for item in post.inputs] == [
        ("id", "string", True, "", ""),
        ("lang", "string", False, "", "Language"),
        ("name", "string", True, "Name", "What it is called."),
        ("parent", "object", False, "", "Its mother."),
        ("size", "number", False, "", ""),
    ]
    assert (put.name, put.label) == ("no", "12:30")
    assert [(item.name, item.type) for item in put.inputs] == [("body", "array")]


def test_an_operation_reached_by_two_paths_has_its_id_twice(write, expect):
    expect(
        OpenApiSource(write("api.yaml", PETS)),
        (10, "paths./pets/{id}.get.operationId", "'getPet' appears twice (first: line 10)"),
    )


def test_swagger_2_in_json(write, load):
    document = {
        "swagger": "2.0",
        "info": {"title": "Old"},
        "definitions": {"Body": {"type": "object", "required": ["a"], "properties": {"a": {"type": "boolean"}}}},
        "paths": {
            "/x": {
                "post": {
                    "parameters": [
                        {"name": "q", "in": "query", "type": "integer", "required": True},
                        {"name": "payload", "in": "body", "schema": {"$ref": "#/definitions/Body"}},
                    ]
                },
                "put": {"parameters": [{"name": "raw", "in": "body", "required": True, "schema": {"type": "string"}}]},
            }
        },
    }
    put, post = load(OpenApiSource(write("api.json", json.dumps(document)))).of("step")
    assert [(item.name, item.type, item.required) for item in post.inputs] == [("q", "integer", True), ("a", "boolean", True)]
    assert [(item.name, item.type, item.required) for item in put.inputs] == [("raw", "string", True)]


def test_every_problem_is_reported_with_line_and_field(write, expect):
    text = """\
openapi: 3.0.3
info:
  title: [x]
paths:
  /a: text
  /b:
    parameters: none
    get: [x]
    put:
      operationId: same
      parameters:
        - text
        - {in: query}
        - {$ref: 'other.yaml#/Limit'}
        - {$ref: '#/components/parameters/None'}
        - {$ref: '#/components/parameters/Loop'}
      requestBody: text
    post:
      operationId: same
      description: [x]
    patch:
      operationId: " "
      tags: text
      parameters:
        - {$ref: '#/components/parameters/Loop'}
      requestBody:
        content:
          application/json:
            schema: {properties: [a]}
    delete:
      summary: {a: b}
      parameters:
        - {name: ok, description: [x]}
components:
  parameters:
    Loop: {$ref: '#/components/parameters/Pool'}
    Pool: {$ref: '#/components/parameters/Loop'}
"""
    put = "paths./b.put"
    expect(
        OpenApiSource(write("api.yaml", text)),
        (3, "info.title", "must be text"),
        (5, "paths./a", "expected a mapping of methods"),
        (7, "paths./b.parameters", "expected a list of parameters, got 'none'"),
        (8, "paths./b.get", "expected a mapping as an operation, got a list"),
        (12, f"{put}.parameters[0]", "expected a mapping as a parameter, got 'text'"),
        (13, f"{put}.parameters[1].name", "must be text (got nothing)"),
        (14, f"{put}.parameters[2].$ref", "leads out of the document"),
        (15, f"{put}.parameters[3].$ref", "leads nowhere"),
        (17, f"{put}.requestBody", "expected a mapping as a request body, got 'text'"),
        (19, "paths./b.post.operationId", "'same' appears twice (first: line 10)"),
        (22, "name", "blank"),
        (
            29,
            "paths./b.patch.requestBody.content.application/json.schema.properties",
            "expected a mapping of properties, got a list",
        ),
        (31, "label", "text"),
        (33, "inputs[0].description", "text"),
        (37, "components.parameters.Pool.$ref", "leads back to itself"),
    )


@pytest.mark.parametrize(
    ("text", "line", "field", "message"),
    [
        ("info: {}\npaths: {}\n", 1, None, "no key 'openapi' or 'swagger'"),
        ("info: {}\nopenapi: 2.0\n", 2, "openapi", "'2.0'"),
        ("swagger: 1.2\n", 1, "swagger", "'1.2'"),
        ("openapi: [3]\n", 1, "openapi", "a list"),
        ("openapi: 3.0.0\ninfo: {}\n", 1, "paths", "expected a mapping of paths, got nothing"),
        ("openapi: 3.0.0\npaths: []\n", 2, "paths", "expected a mapping of paths, got a list"),
        ("openapi: 3.0.0\npaths: {/a: {}}\n", 2, "paths", "no operation"),
        ("- a\n", 1, None, "expected a mapping as an OpenAPI document, got a list"),
        ("# nothing\n", None, None, "expected one document, got 0"),
        ("openapi: 3.0.0\n---\nopenapi: 3.0.0\n", None, None, "expected one document, got 2"),
    ],
)
def test_documents_that_are_no_api(text, line, field, message, write, expect):
    expect(OpenApiSource(write("api.yaml", text)), (line, field, message))


def test_a_problem_in_a_json_document_has_its_path(write, expect):
    text = '{"openapi": "3.0.0", "info": {"title": "A"},\n"paths": {"/a":\n{"get": {"summary":\n 5,\n"operationId": "x"}}}}'
    expect(OpenApiSource(write("api.json", text)), (None, "paths./a.get.summary", "text"))


def test_names_of_inputs_that_stand_for_nothing(write, expect):
    text = """\
openapi: 3.0.0
paths:
  /a:
    get:
      parameters:
        - {name: null, in: query}
        - {name: "", in: query}
        - {name: ok, in: query, description: ~}
      requestBody: {name: 5, content: {text/plain: {schema: {type: string}}}}
"""
    expect(
        OpenApiSource(write("api.yaml", text)),
        (6, "paths./a.get.parameters[0].name", "got nothing"),
        (7, "inputs[0].name", "blank"),
    )


def test_the_scope_is_the_files_name_where_there_is_no_title(write, load):
    assert load(OpenApiSource(write("billing.yaml", "openapi: 3.0.0\npaths: {/a: {get: {}}}\n"))).scopes == {"billing": 1}


def test_schemas_that_are_put_together_of_themselves_end(write, load):
    chain = {f"S{number}": {"allOf": [{"$ref": f"#/components/schemas/S{number + 1}"}]} for number in range(5000)}
    chain["S5000"] = {"properties": {"deep": {}}, "allOf": [{"$ref": "#/components/schemas/S0"}]}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}}
    document = {"openapi": "3.0.0", "paths": {"/a": {"post": {"requestBody": body}}}, "components": {"schemas": chain}}
    (step,) = load(OpenApiSource(write("api.json", json.dumps(document)))).of("step")
    assert [item.name for item in step.inputs] == ["deep"]


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_two_thousand_operations_are_read_in_seconds(suffix, write, load):
    operation = {
        "summary": "S",
        "parameters": [{"$ref": "#/components/parameters/P"}],
        "responses": {"200": {"description": "ok"}},
    }
    document = {
        "openapi": "3.0.0",
        "paths": {f"/{number}": {"get": operation, "post": operation} for number in range(1000)},
        "components": {"parameters": {"P": {"name": "p", "in": "query", "schema": {"type": "string"}}}},
    }
    path = write(f"api.{suffix}", json.dumps(document, indent=1))
    start = time.monotonic()
    assert len(load(OpenApiSource(path))) == 2000
    assert time.monotonic() - start < 30
