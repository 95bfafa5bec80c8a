"""A company that does not exist: the OpenAPI documents of its services, and what answers their calls within the process.

The documents are put together of three tables in ``company/``, written by hand: services, their resources, and verbs. They look
as real ones do: paths with ids, operationIds, summaries, parameters with types and enums, bodies behind references.

Run ``python examples/agent_tools/company.py FOLDER``.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiretriever.core import Step
from multiretriever.grounding.tool_check import OperationError

TABLES = Path(__file__).parent / "company"
STANDARD = ("list", "get", "create", "update", "delete", "find")
_FORMATS = {"date": "date", "datetime": "date-time", "email": "email"}
_PLURALS = {"salary": "salaries", "policy": "policies", "history": "histories", "status": "statuses", "person": "people"}
# "Reset the password of *" is called resetUserPassword.
_OF = re.compile(r"^(\w+) the (\w+) of \*")
_SILENT = re.compile(r"\b(the|of|for|to|from|in|on|a|an|somebody|its)\b")
_EXAMPLES = {"date": "2026-03-02", "date-time": "2026-03-02T09:00:00Z", "email": "kim@company.example"}
_OF_TYPE: dict[str, Any] = {"string": "example", "number": 125.5, "integer": 3, "boolean": True}

Json = dict[str, Any]
Row = dict[str, str]


@dataclass(frozen=True)
class Resource:
    """What a service holds, such as invoices.

    Attributes:
        name: Its name as in the table, such as ``credit_note``.
        gloss: What it is, in a sentence without its full stop.
        fields: Its fields, as in the table.
        verbs: What can be done with it beside the standard verbs.
    """

    name: str
    gloss: str
    fields: str
    verbs: tuple[str, ...]

    @property
    def words(self) -> str:
        """``credit note``."""
        return self.name.replace("_", " ")

    @property
    def many(self) -> str:
        """``credit notes``."""
        start, _, last = self.words.rpartition(" ")
        if re.search("[^aeiou]y$", last):
            last = _PLURALS.get(last, f"{last[:-1]}ies")
        else:
            last = _PLURALS.get(last, f"{last}es" if re.search("(s|x|ch|sh)$", last) else f"{last}s")
        return f"{start} {last}".strip()

    @property
    def one(self) -> str:
        """``a credit note``."""
        vowel = self.name[0] in "aeiou" and not self.name.startswith(("user", "uni", "one"))
        return f"{'an' if vowel or self.name == 'nda' else 'a'} {self.words}"

    @property
    def prefix(self) -> str:
        """What its ids begin with: ``CN``, and ``INV`` for one word."""
        parts = self.name.split("_")
        return (self.name[:3] if len(parts) == 1 else "".join(part[0] for part in parts)).upper()


def write_documents(folder: str | Path, services: int | None = None) -> list[Path]:
    """Writes the documents, one file for each service, and returns their paths.

    Args:
        folder: Where to; it is made where it is missing.
        services: How many services, from the first on; None for all.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for document in documents(services):
        path = target / f"{document['info']['title'].lower().replace(' ', '-')}.json"
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
        paths.append(path)
    return paths


def documents(services: int | None = None) -> Iterator[Json]:
    """Yields the documents of all services, or of the first so many."""
    verbs: dict[str, list[Row]] = {}
    for row in _table("verbs"):
        verbs.setdefault(row["verb"], []).append(row)
    held: dict[str, list[Resource]] = {}
    for row in _table("resources"):
        resource = Resource(row["resource"], row["gloss"], row["fields"], tuple(row["actions"].split()))
        held.setdefault(row["service"], []).append(resource)
    for row in _table("services")[:services]:
        yield _document(row["service"], row["about"], held[row["service"]], verbs)


def _table(name: str) -> list[Row]:
    with (TABLES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _document(title: str, about: str, resources: list[Resource], verbs: dict[str, list[Row]]) -> Json:
    paths: dict[str, Json] = {}
    schemas: Json = {}
    for resource in resources:
        schemas |= _schemas(resource)
        for row in (row for verb in (*STANDARD, *resource.verbs) for row in verbs[verb]):
            path, method, operation = _operation(resource, row)
            item = paths.setdefault(path, {"parameters": _ids(resource, path)} if "{" in path else {})
            item[method] = operation
    host = title.lower().replace(" ", "-")
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1.0.0", "description": about},
        "servers": [{"url": f"https://{host}.company.example/v1"}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(resource: Resource, row: Row) -> tuple[str, str, Json]:
    """Returns the path, the method and the operation of a verb."""
    key = camel(resource.words)
    suffix = row["path"].replace("{id}", f"{{{key}Id}}").replace("{sub}", "{itemId}")
    path = f"/{resource.many.replace(' ', '-')}" + (f"/{suffix}" if suffix else "")
    words = row["summary"]
    bare = _SILENT.sub(" ", _OF.sub(r"\1 * \2", words)).replace("*", resource.words)
    operation: Json = {
        "operationId": camel(_named(bare, resource)),
        "summary": _named(words.replace("*", resource.one), resource),
        "description": row["text"] if row["verb"] not in STANDARD else f"{row['text']} {resource.gloss}.",
        "tags": [resource.many.capitalize()],
    }
    fields, name = row["fields"], camel(resource.words, first=True)
    if row["method"] == "GET":
        filters = _filters(resource) if row["verb"] == "list" else {}
        operation["parameters"] = [
            {"name": field, "in": "query", "required": required, "schema": schema}
            for field, (schema, required) in (filters | read_fields(fields)).items()
        ]
    elif fields:
        referenced = {"FIELDS": f"New{name}", "CHANGES": f"{name}Changes"}.get(fields)
        schema = {"$ref": f"#/components/schemas/{referenced}"} if referenced else object_schema(read_fields(fields))
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    found: Json = {"$ref": f"#/components/schemas/{name}"}
    answer = {"type": "array", "items": found} if row["verb"] in ("list", "find") else found
    operation["responses"] = {"200": {"description": "Done.", "content": {"application/json": {"schema": answer}}}}
    return path, row["method"].lower(), operation


def _named(words: str, resource: Resource) -> str:
    return words.replace(" many", f" {resource.many}").replace("#", resource.words)


def _ids(resource: Resource, path: str) -> list[Json]:
    about = f"Id of the {resource.words}, such as {resource.prefix}-1042"
    ids = [{"name": f"{camel(resource.words)}Id", "in": "path", "required": True, "description": about, "schema": _TEXT}]
    return ids if "{itemId}" not in path else [*ids, {"name": "itemId", "in": "path", "required": True, "schema": _TEXT}]


_TEXT: Json = {"type": "string", "minLength": 1}


def _filters(resource: Resource) -> dict[str, tuple[Json, bool]]:
    fields = read_fields(resource.fields)
    return {name: (schema, False) for name, (schema, _) in fields.items() if "enum" in schema or schema.get("format") == "email"}


def _schemas(resource: Resource) -> Json:
    name, fields = camel(resource.words, first=True), read_fields(resource.fields)
    whole = object_schema(fields)
    whole["properties"] = {
        "id": {"type": "string", "readOnly": True, "example": f"{resource.prefix}-1042"},
        **whole["properties"],
    }
    changes = object_schema({field: (schema, False) for field, (schema, _) in fields.items()})
    return {name: whole, f"New{name}": object_schema(fields), f"{name}Changes": changes | {"minProperties": 1}}


def object_schema(fields: dict[str, tuple[Json, bool]]) -> Json:
    """Returns the schema of an object with these fields."""
    required = [name for name, (_, needed) in fields.items() if needed]
    properties = {name: schema for name, (schema, _) in fields.items()}
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def read_fields(text: str) -> dict[str, tuple[Json, bool]]:
    """Reads fields such as ``amount:number! currency:EUR/USD``: the schema of each, and whether it must be given."""
    fields = {}
    for part in text.split():
        name, _, kind = part.rstrip("!").partition(":")
        schema: Json = {"type": "string"}
        if kind in ("number", "integer", "boolean"):
            schema["type"] = kind
        elif kind in _FORMATS:
            schema["format"] = _FORMATS[kind]
        elif kind:
            schema["enum"] = kind.split("/")
        fields[name] = (schema, part.endswith("!"))
    return fields


def camel(words: str, *, first: bool = False) -> str:
    """Writes ``list credit notes`` as ``listCreditNotes``."""
    parts = [part[:1].upper() + part[1:] for part in words.split()]
    text = "".join(parts)
    return text if first else text[:1].lower() + text[1:]


class FakeBackend:
    """Answers operations of OpenAPI documents with examples of what they return. Safe to share between threads.

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


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("python company.py FOLDER")
    print(f"{len(write_documents(sys.argv[1]))} documents in {sys.argv[1]}")
