"""Operations of a web API as steps: OpenAPI 3 and Swagger 2 documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from multiretriever.core.elements import Step
from multiretriever.core.errors import CatalogError
from multiretriever.core.records import ProblemLog, Record, field_path
from multiretriever.core.sources.files import Located, read_document
from multiretriever.core.sources.json_schema import Found, Node, References, is_true
from multiretriever.core.yaml_io import PlainScalar, ValuePath, is_null, name_of, resolve_scalar, resolve_scalars

# Inputs of an API's operation: its parameters, and the top-level properties of its body.

Report = Callable[[str, ValuePath], None]


def operation_inputs(
    operation: Node, shared: Node, references: References, report: Report
) -> tuple[list[dict[str, Any]], list[ValuePath]]:
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
    inputs: dict[str, tuple[dict[str, Any], ValuePath]] = {}
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


def _of_parameter(parameter: Node, references: References) -> Iterator[tuple[dict[str, Any], ValuePath]]:
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


def _of_body(body: Node, references: References, report: Report) -> Iterator[tuple[dict[str, Any], ValuePath]]:
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


def _of_schema(schema: Node, body: Node, references: References) -> Iterator[tuple[dict[str, Any], ValuePath]]:
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


_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# A step's attributes and the keys of an operation that they are read from.
_KEYS = {"name": "operationId", "label": "summary"}


class OpenApiSource:
    """An OpenAPI 3.x or Swagger 2.0 document in YAML or JSON; every operation becomes a step in the scope of the API's title.

    References inside the document are followed, and nothing is fetched.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives a record for every operation; what is wrong goes to the log with its line."""
        document = read_document(self.path, log)
        if document is None:
            return
        if not isinstance(document.value, dict):
            log.add(f"an OpenAPI document is a mapping (got {name_of(document.value)})", str(self), document.line(()))
            return
        yield from _Reader(document, str(self), self.path.stem, log).records()

    def __str__(self) -> str:
        return str(self.path)


class _Reader:
    """Reads the operations of one document."""

    def __init__(self, document: Located, source: str, stem: str, log: ProblemLog) -> None:
        self._document = document
        self._source = source
        self._stem = stem
        self._log = log
        self._reported: set[tuple[str, ValuePath]] = set()
        self._names: dict[str, int | None] = {}
        self._references = References(document.value, self._report)

    def _report(self, message: str, path: ValuePath) -> None:
        # Parts that many operations share have their problems once.
        if (message, path) not in self._reported:
            self._reported.add((message, path))
            self._log.add(message, self._source, self._document.line(path), field_path(path))

    def records(self) -> Iterator[Record]:
        root = Node(self._document.value, ())
        if not self._check_version(root):
            return
        scope = self._scope(root.child("info"))
        paths = root.child("paths")
        if not isinstance(paths.value, dict):
            self._report(f"a mapping of paths is due (got {name_of(paths.value)})", ("paths",))
            return
        count = 0
        for template in paths.value:
            if template.startswith("x-"):
                continue
            for operation, shared in self._operations(paths.child(template)):
                count += 1
                record = self._record(template, operation, shared, scope)
                if record is not None:
                    yield record
        if not count:
            self._report("the document has no operation", ("paths",))

    def _check_version(self, root: Node) -> bool:
        for key, due in (("openapi", r"3\.\d+(\.\d+.*)?"), ("swagger", r"2\.0")):
            value = root.child(key).value
            if value is None:
                continue
            if re.fullmatch(due, str(value)):
                return True
            self._report(f"OpenAPI 3.x or Swagger 2.0 is due (got {name_of(value)})", (key,))
            return False
        self._report("there is no key 'openapi' or 'swagger', so this is no OpenAPI document", ())
        return False

    def _scope(self, info: Node) -> str:
        title = info.child("title")
        if is_null(title.value):
            return self._stem
        if isinstance(title.value, str):
            return title.value
        self._report(f"must be text (got {name_of(title.value)})", title.path)
        return self._stem

    def _operations(self, item: Node) -> Iterator[tuple[Node, Node]]:
        found = self._references.follow(item)
        if found is None:
            return
        if not isinstance(found.value, dict):
            self._report(f"a mapping of methods to operations is due (got {name_of(found.value)})", found.path)
            return
        for method in _METHODS:
            operation = found.child(method)
            if isinstance(operation.value, dict):
                yield operation, found.child("parameters")
            elif method in found.value:
                self._report(f"an operation is a mapping (got {name_of(operation.value)})", operation.path)

    def _record(self, template: str, operation: Node, shared: Node, scope: str) -> Record | None:
        method = str(operation.path[-1]).upper()
        stated = operation.child("operationId").value
        name = f"{method} {template}" if is_null(stated) else stated
        inputs, places = operation_inputs(operation, shared, self._references, self._report)
        if isinstance(name, str):
            line = self._document.line((*operation.path, "operationId"))
            if name in self._names:
                first = self._names[name]
                self._report(f"the operationId {name!r} stands twice (first: line {first})", (*operation.path, "operationId"))
                return None
            self._names[name] = line
        values: dict[str, Any] = {
            "scope": scope,
            "name": name,
            "label": operation.child("summary").value,
            "description": operation.child("description").value,
            "inputs": inputs,
            "metadata": {"method": method, "path": template, **self._tags(operation)},
        }
        return Record("step", values, self._source, lambda path: self._line(operation, places, path))

    def _tags(self, operation: Node) -> dict[str, Any]:
        tags = operation.child("tags").value
        values = {"tag": str(tags[0])} if isinstance(tags, list) and tags and isinstance(tags[0], str) else {}
        return {**values, "deprecated": is_true(operation.child("deprecated").value)}

    def _line(self, operation: Node, places: list[ValuePath], path: ValuePath) -> int | None:
        if path[:1] == ("inputs",) and len(path) > 1 and isinstance(path[1], int):
            return self._document.line((*places[path[1]], *path[2:]))
        key = _KEYS.get(str(path[0]), path[0]) if path else None
        return self._document.line((*operation.path, key, *path[1:]) if key is not None else operation.path)


# The arguments of an API's operations as JSON schemas: types, formats, choices and bounds, which a catalog does not keep.

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
