"""The arguments of an API's operations as JSON schemas: types, formats, choices and bounds, which a catalog does not keep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multiretriever.core.elements import Step
from multiretriever.core.errors import CatalogError
from multiretriever.core.records import ProblemLog
from multiretriever.core.scalars import PlainScalar, resolve_scalar, resolve_scalars
from multiretriever.core.sources.documents import read_document
from multiretriever.core.sources.json_schema import Node, References, is_true
from multiretriever.core.sources.openapi import OpenApiSource
from multiretriever.core.sources.openapi_inputs import operation_inputs

Schema = dict[str, Any]

TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
# Deeper parts of a schema are not shown and not checked: a schema may hold itself.
_MAX_DEPTH = 8
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_ALTERNATIVES = ("anyOf", "oneOf", "allOf")


def openapi_arguments(*paths: str | Path) -> dict[str, Schema]:
    """Reads the JSON schema of every operation's arguments, by the id of the step that a catalog of the same documents has.

    References are put in place. Patterns are left out: one of a document may take forever to match.

    Args:
        paths: OpenAPI 3.x or Swagger 2.0 documents.

    Raises:
        CatalogError: A document cannot be read, or something is wrong with it.
    """
    log = ProblemLog()
    schemas: dict[str, Schema] = {}
    for path in map(Path, paths):
        records = list(OpenApiSource(path).read(log))
        document = read_document(path, ProblemLog())  # the source has reported what is wrong with it
        if document is None:
            continue
        root = Node(document.value, ())
        references = References(document.value, lambda message, place: None)
        for record in records:
            template, method = record.values["metadata"]["path"], record.values["metadata"]["method"].lower()
            item = references.follow(root.child("paths").child(template))
            if item is not None:
                schemas[Step.default_id(record.values)] = _arguments(root, item, method, references)
    if log.problems:
        raise CatalogError(log.in_order())
    return schemas


def _arguments(root: Node, item: Node, method: str, references: References) -> Schema:
    inputs, places = operation_inputs(item.child(method), item.child("parameters"), references, lambda message, place: None)
    properties: dict[str, Schema] = {}
    for values, place in zip(inputs, places, strict=True):
        schema = _inlined(_schema_of(_at(root, place), references), references)
        words = values.get("description")
        properties[values["name"]] = schema | ({"description": str(words)} if words is not None else {})
    required = [values["name"] for values in inputs if values.get("required")]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _at(root: Node, path: tuple[str | int, ...]) -> Node:
    for key in path:
        root = root.child(key)
    return root


def _schema_of(node: Node, references: References) -> Node:
    """Returns the schema of a parameter or a body; a property is a schema itself, as is a parameter of Swagger 2."""
    found = references.follow(node, report=False) or Node(None, ())
    if found.child("schema").value is not None:
        return found.child("schema")
    content = found.child("content")
    if isinstance(content.value, Mapping) and content.value:
        names = sorted(content.value, key=lambda name: "json" not in name.lower())
        return content.child(names[0]).child("schema")
    return found


def _inlined(node: Node, references: References, depth: int = 0) -> Schema:
    """Returns a schema without references, and with no keyword that is wrong or not understood."""
    found = references.follow(node, report=False)
    if found is None or not isinstance(found.value, Mapping) or depth > _MAX_DEPTH:
        return {}
    schema = _kind(found) | _bounds(found.value)
    for key in ("description", "format"):
        if isinstance(found.value.get(key), str):
            schema[key] = str(found.value[key])
    for key in ("items", "additionalProperties"):
        part = found.child(key)
        if isinstance(part.value, Mapping):
            schema[key] = _inlined(part, references, depth + 1)
    properties = found.child("properties")
    if isinstance(properties.value, Mapping):
        schema["properties"] = {str(key): _inlined(properties.child(key), references, depth + 1) for key in properties.value}
    required = found.value.get("required")
    if isinstance(required, list):
        schema["required"] = [str(name) for name in required if isinstance(name, str)]
    for key in _ALTERNATIVES:
        options = found.child(key)
        if isinstance(options.value, list) and options.value:
            schema[key] = [_inlined(options.child(place), references, depth + 1) for place in range(len(options.value))]
    return schema


def _kind(node: Node) -> Schema:
    """Type and choices; a value that may be null has null among both."""
    stated = node.value.get("type")
    types = [str(name) for name in (stated if isinstance(stated, list) else [stated]) if name in TYPES]
    nullable = is_true(node.value.get("nullable"))
    if nullable and types and "null" not in types:
        types.append("null")
    schema: Schema = {"type": types[0] if len(types) == 1 else types} if types else {}
    choices = node.value.get("enum")
    if isinstance(choices, list) and choices:
        values = [_value(choice, types) for choice in choices]
        schema["enum"] = [*values, None] if nullable and None not in values else values
    elif "const" in node.value:
        schema["const"] = _value(node.value["const"], types)
    return schema


def _value(value: Any, types: list[str]) -> Any:
    # What YAML leaves open, the type decides: ``on`` and 1.10 are texts where texts are due.
    if isinstance(value, PlainScalar) and "string" in types:
        return None if "null" in types and resolve_scalar(value) is None else str(value)
    return resolve_scalars(value)


def _bounds(values: Mapping[str, Any]) -> Schema:
    bounds: Schema = {}
    for key in (*_NUMBERS, *_COUNTS):
        number = resolve_scalars(values.get(key))
        fits = isinstance(number, int if key in _COUNTS else (int, float)) and not isinstance(number, bool)
        if fits and (number > 0 or key in _NUMBERS[:4]):
            bounds[key] = number
    for key, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if is_true(values.get(key)) and limit in bounds:  # OpenAPI 3.0
            bounds[key] = bounds.pop(limit)
    if is_true(values.get("uniqueItems")):
        bounds["uniqueItems"] = True
    return bounds
