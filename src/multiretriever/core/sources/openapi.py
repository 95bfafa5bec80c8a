"""Operations of a web API as steps: OpenAPI 3 and Swagger 2 documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from multiretriever.core.problems import field_path
from multiretriever.core.records import Path as ValuePath
from multiretriever.core.records import ProblemLog, Record
from multiretriever.core.sources.catalog_form import name_of
from multiretriever.core.sources.documents import read_document
from multiretriever.core.sources.json_schema import Node, References, is_true
from multiretriever.core.sources.json_text import Located
from multiretriever.core.sources.openapi_inputs import operation_inputs
from multiretriever.core.validation import is_null

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
