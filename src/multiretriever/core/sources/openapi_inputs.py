"""Inputs of an API's operation: its parameters, and the top-level properties of its body."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from multiretriever.core.records import Path
from multiretriever.core.sources.catalog_form import name_of
from multiretriever.core.sources.json_schema import Found, Node, References, is_true
from multiretriever.core.validation import is_null

Report = Callable[[str, Path], None]


def operation_inputs(
    operation: Node, shared: Node, references: References, report: Report
) -> tuple[list[dict[str, Any]], list[Path]]:
    """Returns the raw inputs of an operation and the path of each; of two with one name the first stays.

    Args:
        operation: The operation.
        shared: The parameters of its path, which its own ones take precedence over.
        references: The references of the document.
        report: Takes what is wrong: a message and a path.
    """
    own = list(_parameters(operation.child("parameters"), references, report))
    stated = {_key(parameter) for parameter in own}
    parameters = [item for item in _parameters(shared, references, report) if _key(item) not in stated] + own
    inputs: dict[str, tuple[dict[str, Any], Path]] = {}
    for parameter in parameters:
        for values, path in _of_parameter(parameter, references):
            inputs.setdefault(str(values["name"]), (values, path))
    body = references.follow(operation.child("requestBody"))
    if body is not None and body.value is not None:
        for values, path in _of_body(body, references, report):
            inputs.setdefault(str(values["name"]), (values, path))
    return [values for values, _ in inputs.values()], [path for _, path in inputs.values()]


def _key(parameter: Node) -> tuple[str, str]:
    return str(parameter.value["name"]), str(parameter.value.get("in"))


def _parameters(items: Node, references: References, report: Report) -> Iterator[Node]:
    if items.value is None:
        return
    if not isinstance(items.value, list):
        report(f"a list of parameters is due (got {name_of(items.value)})", items.path)
        return
    for index in range(len(items.value)):
        parameter = references.follow(items.child(index))
        if parameter is None:
            continue
        if not isinstance(parameter.value, dict):
            report(f"a parameter is a mapping (got {name_of(parameter.value)})", parameter.path)
        elif is_null(name := parameter.value.get("name")) or not isinstance(name, str):
            report(f"must be text (got {name_of(name)})", (*parameter.path, "name"))
        else:
            yield parameter


def _of_parameter(parameter: Node, references: References) -> Iterator[tuple[dict[str, Any], Path]]:
    if parameter.value.get("in") == "body":  # Swagger 2
        yield from _of_schema(parameter.child("schema"), parameter, references)
        return
    schema = parameter.child("schema")
    if schema.value is None:
        media = _media(parameter.child("content"))
        # Swagger 2 states the type in the parameter itself.
        schema = parameter if media is None else media.child("schema")
    values = {
        "name": parameter.value["name"],
        "type": references.type_of(schema),
        "description": parameter.value.get("description"),
        "required": is_true(parameter.value.get("required")),
    }
    yield _without_nothing(values), parameter.path


def _of_body(body: Node, references: References, report: Report) -> Iterator[tuple[dict[str, Any], Path]]:
    if not isinstance(body.value, dict):
        report(f"a request body is a mapping (got {name_of(body.value)})", body.path)
        return
    media = _media(body.child("content"))
    if media is not None and media.child("schema").value is not None:
        yield from _of_schema(media.child("schema"), body, references)


def _media(content: Node) -> Node | None:
    """Returns the JSON form of a content, or else its first form."""
    if not isinstance(content.value, dict):
        return None
    names = sorted(content.value, key=lambda name: "json" not in name.lower())
    return content.child(names[0]) if names else None


def _of_schema(schema: Node, body: Node, references: References) -> Iterator[tuple[dict[str, Any], Path]]:
    """Gives the properties of a body that is an object; a body of another kind is one input."""
    properties = list(references.properties(schema))
    for found in properties:
        if not _is_read_only(found, references):
            yield _without_nothing(references.input_of(found)), found.node.path
    if not properties and references.type_of(schema) not in ("object", "any"):
        # A body of Swagger 2 is a parameter, with a name.
        name = body.value.get("name")
        values = {
            "name": name if isinstance(name, str) else "body",
            "type": references.type_of(schema),
            "description": body.value.get("description"),
            "required": is_true(body.value.get("required")),
        }
        yield _without_nothing(values), body.path


def _is_read_only(found: Found, references: References) -> bool:
    node = references.follow(found.node, report=False)
    return node is not None and isinstance(node.value, dict) and is_true(node.value.get("readOnly"))


def _without_nothing(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key == "name" or not is_null(value)}
