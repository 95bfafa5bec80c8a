"""What answers the calls in place of the company's services: nothing leaves the process.

It keeps what it was asked, and answers with an example of what the operation's document says that it returns.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from multiretriever.core import Step
from multiretriever.core.tool_calls import OperationError

_EXAMPLES = {"date": "2026-03-02", "date-time": "2026-03-02T09:00:00Z", "email": "kim@company.example"}
_OF_TYPE: dict[str, Any] = {"string": "example", "number": 125.5, "integer": 3, "boolean": True}


class FakeBackend:
    """Answers operations of OpenAPI documents in JSON. Safe to share between threads.

    Attributes:
        calls: The id and the arguments of every call that arrived, in order.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        """Reads the documents."""
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._documents = {}
        for path in paths:
            document = json.loads(path.read_text(encoding="utf-8"))
            self._documents[document["info"]["title"]] = document
        self._lock = threading.Lock()

    def call(self, step: Step, arguments: dict[str, Any]) -> Any:
        """Answers one call.

        Raises:
            OperationError: There is nothing of such an id.
        """
        with self._lock:
            self.calls.append((step.id, arguments))
        document = self._documents[step.scope]
        path = str(step.metadata["path"])
        item = document["paths"][path]
        for parameter in item.get("parameters", []):
            self._check_id(parameter, arguments)
        operation = item[str(step.metadata["method"]).lower()]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        own = [value for name, value in arguments.items() if f"{{{name}}}" in path]
        given = {name: value for name, value in arguments.items() if f"{{{name}}}" not in path}
        if own:
            given = {"id": own[0], **given}
        answer = _example(schema, document, {} if step.metadata["method"] == "GET" and not own else given)
        return {"status": "deleted", "id": own[-1]} if step.metadata["method"] == "DELETE" else answer

    async def acall(self, step: Step, arguments: dict[str, Any]) -> Any:
        """Does ``call``; an answer that came over a network would be awaited here."""
        return self.call(step, arguments)

    def _check_id(self, parameter: dict[str, Any], arguments: dict[str, Any]) -> None:
        value = str(arguments[parameter["name"]])
        found = re.search(r"such as (\w+)-", parameter.get("description", ""))
        if found and not re.fullmatch(rf"({found[1]}-)?\d+", value):
            raise OperationError(f"404: nothing has the {parameter['name']} {value!r}; ids look like {found[1]}-1042")


def _example(schema: dict[str, Any], document: dict[str, Any], given: dict[str, Any]) -> Any:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("type") == "array":
        return [_example(schema["items"], document, given)]
    if "properties" in schema:
        values = {name: _example(part, document, {}) for name, part in schema["properties"].items()}
        return values | given
    if "enum" in schema:
        return schema["enum"][0]
    return schema.get("example") or _EXAMPLES.get(schema.get("format", "")) or _OF_TYPE.get(schema.get("type", ""))
