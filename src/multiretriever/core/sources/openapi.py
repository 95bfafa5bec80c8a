"""Operations of a web API as steps: OpenAPI 3 and Swagger 2 documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from multiretriever.core.input_schema import SchemaWriter
from multiretriever.core.json_schema import Input, Node, References, is_true
from multiretriever.core.records import ProblemLog, Record, field_path
from multiretriever.core.sources.files import FileSource, Located
from multiretriever.core.yaml_io import ValuePath, is_null, name_of

Report = Callable[[str, ValuePath], None]
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# A step's attributes and the keys of an operation that they are read from.
_KEYS = {"name": "operationId", "label": "summary"}


class OpenApiSource(FileSource):
    """An OpenAPI 3.x or Swagger 2.0 document in YAML or JSON; every operation becomes a step in the scope of the API's title.

    References inside the document are followed, and nothing is fetched.
    """

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Yields a record for every operation; what is wrong goes to the log with its line or path."""
        before = len(log.problems)
        documents = self.documents(log)
        if len(documents) != 1:
            if len(log.problems) == before:
                log.add(f"expected one document, got {len(documents)}", str(self))
            return
        (document,) = documents
        if not isinstance(document.value, dict):
            log.add(f"expected a mapping as an OpenAPI document, got {name_of(document.value)}", str(self), document.line(()))
            return
        yield from _Reader(document, str(self), self.path.stem, log).records()


class _Reader:
    """Reads the operations of one document."""

    def __init__(self, document: Located, source: str, stem: str, log: ProblemLog) -> None:
        self._document = document
        self._source = source
        self._stem = stem
        self._log = log
        self._reported: set[tuple[str, ValuePath]] = set()
        self._names: dict[str, str] = {}
        self._references = References(document.value, self._report)
        self._writer = SchemaWriter(self._references)

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
            self._report(f"expected a mapping of paths, got {name_of(paths.value)}", ("paths",))
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
        for key, form in (("openapi", r"3\.\d+(\.\d+.*)?"), ("swagger", r"2\.0")):
            value = root.child(key).value
            if value is None:
                continue
            if re.fullmatch(form, str(value)):
                return True
            self._report(f"expected OpenAPI 3.x or Swagger 2.0, got {name_of(value)}", (key,))
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
            self._report(f"expected a mapping of methods to operations, got {name_of(found.value)}", found.path)
            return
        for method in _METHODS:
            operation = found.child(method)
            if isinstance(operation.value, dict):
                yield operation, found.child("parameters")
            elif method in found.value:
                self._report(f"expected a mapping as an operation, got {name_of(operation.value)}", operation.path)

    def _record(self, template: str, operation: Node, shared: Node, scope: str) -> Record | None:
        method = str(operation.path[-1]).upper()
        stated = operation.child("operationId").value
        name = f"{method} {template}" if is_null(stated) else stated
        inputs, closed = operation_inputs(operation, shared, self._references, self._report)
        if isinstance(name, str):
            own = (*operation.path, "operationId")
            if name in self._names:
                self._report(f"the operationId {name!r} appears twice (first: {self._names[name]})", own)
                return None
            line = self._document.line(own)
            self._names[name] = f"line {line}" if line is not None else field_path(own) or ""
        values: dict[str, Any] = {
            "scope": scope,
            "name": name,
            "label": operation.child("summary").value,
            "description": operation.child("description").value,
            "inputs": [item.values for item in inputs],
            "input_schema": self._writer.object_schema(inputs, closed=closed),
            "metadata": {"method": method, "path": template, **self._tags(operation)},
        }

        def place(path: ValuePath) -> ValuePath:
            return _stated(path, operation, inputs)

        return Record("step", values, self._source, lambda path: self._document.line(place(path)), place)

    def _tags(self, operation: Node) -> dict[str, Any]:
        tags = operation.child("tags").value
        values = {"tag": str(tags[0])} if isinstance(tags, list) and tags and isinstance(tags[0], str) else {}
        return {**values, "deprecated": is_true(operation.child("deprecated").value)}


def _stated(path: ValuePath, operation: Node, inputs: list[Input]) -> ValuePath:
    """Returns where in the document the value of a step is stated."""
    if path[:1] == ("inputs",) and len(path) > 1 and isinstance(path[1], int):
        return (*inputs[path[1]].path, *path[2:])
    return (*operation.path, _KEYS.get(str(path[0]), path[0]), *path[1:]) if path else operation.path


def operation_inputs(operation: Node, shared: Node, references: References, report: Report) -> tuple[list[Input], bool]:
    """Returns the inputs of an operation - its parameters, and the top-level properties of its body - and whether these are all.

    Of two with one name the first stays.

    Args:
        operation: The operation.
        shared: The parameters of its path, which its own ones take precedence over.
        references: The references of the document.
        report: Takes what is wrong: a message and a path.
    """
    own = list(_parameters(operation.child("parameters"), references, report))
    stated = {_key(parameter) for parameter in own}
    parameters = [item for item in _parameters(shared, references, report) if _key(item) not in stated] + own
    found = [item for parameter in parameters for item in _of_parameter(parameter, references)]
    # A body of Swagger 2 is a parameter.
    bodies = [parameter.child("schema") for parameter in parameters if parameter.value.get("in") == "body"]
    body = references.follow(operation.child("requestBody"))
    if body is not None and (schema := _body_schema(body, report)) is not None:
        found += _of_schema(schema, body, references)
        bodies.append(schema)
    inputs: dict[str, Input] = {}
    for item in found:
        inputs.setdefault(str(item.values["name"]), item)
    return list(inputs.values()), all(_is_named(schema, references) for schema in bodies)


def _key(parameter: Node) -> tuple[str, str]:
    return str(parameter.value["name"]), str(parameter.value.get("in"))


def _parameters(items: Node, references: References, report: Report) -> Iterator[Node]:
    if items.value is not None and not isinstance(items.value, list):
        report(f"expected a list of parameters, got {name_of(items.value)}", items.path)
        return
    for item in items.items():
        parameter = references.follow(item)
        if parameter is None:
            continue
        if not isinstance(parameter.value, dict):
            report(f"expected a mapping as a parameter, got {name_of(parameter.value)}", parameter.path)
        elif is_null(name := parameter.value.get("name")) or not isinstance(name, str):
            report(f"must be text (got {name_of(name)})", (*parameter.path, "name"))
        else:
            yield parameter


def _of_parameter(parameter: Node, references: References) -> Iterator[Input]:
    if parameter.value.get("in") == "body":  # Swagger 2
        yield from _of_schema(parameter.child("schema"), parameter, references)
        return
    schema = parameter.child("schema")
    if schema.value is None:
        media = _media(parameter.child("content"))
        # Swagger 2 states the type in the parameter itself.
        schema = parameter if media is None else media.child("schema")
    yield _input(parameter.value["name"], parameter, schema, references)


def _body_schema(body: Node, report: Report) -> Node | None:
    if body.value is not None and not isinstance(body.value, dict):
        report(f"expected a mapping as a request body, got {name_of(body.value)}", body.path)
    media = _media(body.child("content"))
    return media.child("schema") if media is not None and media.child("schema").value is not None else None


def _is_named(schema: Node, references: References) -> bool:
    """Tells whether all that a body can hold has a name; a body that is no object is one input."""
    return references.type_of(schema) not in ("object", "any") or references.is_closed(schema)


def _media(content: Node) -> Node | None:
    """Returns the JSON form of a content, or else its first form; one with a schema where there is any."""
    if not isinstance(content.value, dict):
        return None
    names = sorted(
        content.value, key=lambda name: (content.child(name).child("schema").value is None, "json" not in name.lower())
    )
    return content.child(names[0]) if names else None


def _of_schema(schema: Node, body: Node, references: References) -> Iterator[Input]:
    """Yields the properties of a body that is an object; a body of another kind is one input."""
    properties = list(references.inputs(schema))
    yield from (item for item in properties if not references.is_read_only(item.schema))
    if not properties and references.type_of(schema) not in ("object", "any"):
        # A body of Swagger 2 is a parameter, with a name.
        name = body.value.get("name")
        yield _input(name if isinstance(name, str) else "body", body, schema, references)


def _input(name: str, stated: Node, schema: Node, references: References) -> Input:
    values = {"name": name, "type": references.type_of(schema), "required": is_true(stated.value.get("required"))}
    if not is_null(words := stated.value.get("description")):
        values["description"] = words
    return Input(values, schema, stated.path)
