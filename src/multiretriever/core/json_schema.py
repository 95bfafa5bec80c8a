"""JSON schemas of APIs and tools: the inputs that one names, and the schema that a step keeps of them.

A schema comes from a document that somebody else made. References are followed inside the document only, by the library
``referencing``, and nothing is ever fetched. What a step keeps is bounded, and is written in a time that grows with its own size,
however often the schemas of the document refer to each other or to themselves.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

from referencing import Registry, Resource
from referencing.exceptions import Unresolvable

from multiretriever.core.yaml_io import PlainScalar, ValuePath, is_deep, is_null, name_of, resolve_scalar, resolve_scalars

Schema = dict[str, Any]

TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
MAX_SCHEMA = 64 * 1024
"""Most characters of JSON that a step keeps of the schema of its inputs."""
_ALTERNATIVES = ("anyOf", "oneOf", "allOf")
_SIGNED = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_NUMBERS = (*_SIGNED, "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
# Schemas in which the type of a value is looked for, where its own does not state one.
_MAX_SEARCHED = 200
# Parts nested deeper are not kept; what reads JSON back gives up at about 200 levels.
_MAX_LEVELS = 32
_REFERENCE = "#/$defs/"
_MAX_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Node:
    """A value of a document and its path, from which its line is found."""

    value: Any
    path: ValuePath = ()

    def child(self, key: str | int) -> Node:
        """Returns a value of a mapping or list; None for one that is not there."""
        if isinstance(self.value, Mapping):
            return Node(self.value.get(str(key)), (*self.path, key))
        fits = isinstance(self.value, list) and isinstance(key, int) and key < len(self.value)
        return Node(self.value[int(key)] if fits else None, (*self.path, key))

    def items(self) -> list[Node]:
        """Returns the items of a list; none of anything else."""
        return [self.child(index) for index in range(len(self.value))] if isinstance(self.value, list) else []


@dataclass(frozen=True)
class Input:
    """One input of a step, as a schema or an API states it.

    Attributes:
        values: Its raw values: ``name``, ``type``, ``required`` and, where there are any, ``label`` and ``description``.
        schema: Its schema.
        path: Where in the document it is stated.
    """

    values: dict[str, Any]
    schema: Node
    path: ValuePath


class References:
    """The schemas of one document, with the references between them.

    Args:
        root: The whole document.
        report: Takes what cannot be followed: a message and the path of the reference.
    """

    def __init__(self, root: Any, report: Callable[[str, ValuePath], None]) -> None:
        # Opaque: a document of an API has no schema dialect, and what is no JSON pointer leads out of it.
        self._resolver = Registry().with_resource("", Resource.opaque(root)).resolver()
        self._root = root
        self._report = report
        self._targets: dict[str, tuple[Node | None, str]] = {}

    def follow(self, node: Node, *, report: bool = True) -> Node | None:
        """Returns what a node refers to, itself unless it is a reference; None where that is not known."""
        seen: set[str] = set()
        while isinstance(node.value, Mapping) and isinstance(node.value.get("$ref"), str):
            target = str(node.value["$ref"])
            if target not in self._targets:
                self._targets[target] = self._look_up(target)
            found, message = self._targets[target]
            if target in seen:
                found, message = None, f"the reference {target!r} leads back to itself"
            if found is None:
                if report:
                    self._report(message, (*node.path, "$ref"))
                return None
            seen.add(target)
            node = found
        return node

    def _look_up(self, target: str) -> tuple[Node | None, str]:
        if not target.startswith("#"):
            return None, f"the reference {target!r} leads out of the document, and nothing is fetched; bundle it into one file"
        try:
            value = self._resolver.lookup(target).contents
        except (Unresolvable, LookupError, TypeError, ValueError):  # what a pointer into a list or a scalar comes to
            value = None
        if value is None:
            return None, f"the reference {target!r} leads nowhere"
        parts = [part.replace("~1", "/").replace("~0", "~") for part in unquote(target[1:]).split("/")[1:]]
        return Node(value, self._path(parts)), ""

    def _path(self, parts: list[str]) -> ValuePath:
        node = Node(self._root)
        for part in parts:
            node = node.child(int(part) if isinstance(node.value, list) else part)
        return node.path

    def inputs(self, schema: Node) -> Iterator[Input]:
        """Yields the top-level properties of an object's schema, with those of the schemas that it is put together of."""
        found: dict[str, Node] = {}
        required: set[str] = set()
        waiting, seen = [schema], set[ValuePath]()
        while waiting:
            node = self.follow(waiting.pop())
            if node is None or node.path in seen:
                continue
            seen.add(node.path)
            if not isinstance(node.value, Mapping | bool):
                self._report(f"expected a mapping as a schema, got {name_of(node.value)}", node.path)
                continue
            own = node.child("properties")
            if isinstance(own.value, Mapping):
                for key in own.value:
                    found.setdefault(key, own.child(key))
            elif own.value is not None:
                self._report(f"expected a mapping of properties, got {name_of(own.value)}", own.path)
            required.update(name.value for name in node.child("required").items() if isinstance(name.value, str))
            waiting.extend(reversed(node.child("allOf").items()))
        for name, node in found.items():
            yield Input(self._values(name, node, name in required), node, node.path)

    def _values(self, name: str, node: Node, required: bool) -> dict[str, Any]:
        values = {"name": name, "type": self.type_of(node), "required": required}
        # Words beside a reference say what it is for here; those of its target say what it is in general.
        for key, source in (("label", "title"), ("description", "description")):
            words = next((words for part in self._stated(node) if (words := part.get(source))), None)
            if not is_null(words):
                values[key] = words
        return values

    def _stated(self, node: Node) -> Iterator[Mapping[str, Any]]:
        for part in (node, self.follow(node, report=False)):
            if part is not None and isinstance(part.value, Mapping):
                yield part.value

    def type_of(self, schema: Node) -> str:
        """Returns the type of a value in one word; ``any`` where its schema does not say."""
        waiting, seen = [schema], set[ValuePath]()
        while waiting and len(seen) < _MAX_SEARCHED:
            node = self.follow(waiting.pop(), report=False)
            if node is None or not isinstance(node.value, Mapping) or node.path in seen:
                continue
            seen.add(node.path)
            stated = node.value.get("type")
            for name in stated if isinstance(stated, list) else [stated]:
                if isinstance(name, str) and name != "null":
                    return str(name)
            if "properties" in node.value:
                return "object"
            options = [option for key in _ALTERNATIVES for option in node.child(key).items()]
            waiting.extend(reversed(options[:_MAX_SEARCHED]))
        return "any"

    def is_read_only(self, schema: Node) -> bool:
        """Tells whether a schema is that of a value which only answers hold."""
        node = self.follow(schema, report=False)
        return node is not None and isinstance(node.value, Mapping) and is_true(node.value.get("readOnly"))


class _Below(NamedTuple):
    """A schema below another one: its keyword, its key among properties, and what is written beside it."""

    keyword: str
    key: str
    node: Node
    beside: Schema


@dataclass(frozen=True)
class _Part:
    """A schema without those below it.

    Attributes:
        own: Its keywords that hold no schema.
        below: The schemas below it.
        target: What it refers to, or None.
        kind: Its type alone, which is written where there is no room for more.
        size: Characters of it with the types alone of those below, or a few more.
    """

    own: Schema
    below: list[_Below]
    target: Node | None
    kind: Schema
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether its type says all."""
        return not self.below and self.target is None and self.own == self.kind


class SchemaWriter:
    """Writes the schemas that steps keep, bounded and with the definitions that they refer to.

    Kept are types, choices, bounds, formats, titles, descriptions, defaults, properties, items and alternatives. Left out are
    keywords that are wrong or not among these, and patterns: one of a document may take forever to match. What passes
    ``MAX_SCHEMA`` characters or 32 levels, breadth first, keeps its type alone.

    Args:
        references: The schemas of the document; a part that many steps share is read once.
    """

    def __init__(self, references: References) -> None:
        self._references = references
        self._parts: dict[ValuePath, _Part] = {}
        self._names: dict[ValuePath, str] = {}
        self._taken: dict[str, int] = {}

    def schema(self, node: Node) -> Schema:
        """Writes a schema."""
        return self._write(self._part(node))

    def object_schema(self, inputs: Iterable[Input], whole: Node | None = None) -> Schema:
        """Writes the schema of an object with the inputs as properties and, unless ``whole`` says else, no others.

        Args:
            inputs: The inputs.
            whole: The schema that they were read from, where there is one; its alternatives hold beside them.
        """
        inputs = list(inputs)
        own: Schema = {
            "type": "object",
            "properties": {},
            "required": [item.values["name"] for item in inputs if item.values.get("required")],
        }
        below: list[_Below] = []
        for item in inputs:
            words = item.values.get("description")
            # What a parameter says of itself is written beside its schema; a property says it in its own.
            beside = {"description": str(words)} if isinstance(words, str) and item.path != item.schema.path else {}
            below.append(_Below("properties", item.values["name"], item.schema, beside))
        found = self._references.follow(whole, report=False) if whole is not None else None
        if found is not None:
            stated = self._part(found)
            below += [part for part in stated.below if part.keyword in ("additionalProperties", "anyOf", "oneOf")]
            own |= {key: value for key, value in stated.own.items() if key == "additionalProperties"}
        if all(part.keyword == "properties" for part in below):
            own.setdefault("additionalProperties", False)
        return self._write(self._sized(own, below, None, {"type": "object"}))

    def _write(self, root: _Part) -> Schema:
        schema: Schema = dict(root.kind)
        definitions: dict[str, Schema] = {}
        left = MAX_SCHEMA - len('"$defs": {}, ') - _length(root.kind)
        waiting: deque[tuple[_Part, Schema, Schema, int]] = deque([(root, schema, {}, 0)])
        while waiting:
            part, written, beside, level = waiting.popleft()
            if part.is_whole or level > _MAX_LEVELS:
                continue
            cost = part.size + 2 - _length(part.kind)
            name = self._name(part.target.path) if part.target is not None else ""
            target = self._part(part.target) if part.target is not None and name not in definitions else None
            if target is not None:
                cost += len(name) + 6 + _length(target.kind)
            if cost > left:
                continue
            left -= cost
            written.clear()
            written.update(part.own)
            if part.target is not None:
                written["$ref"] = _REFERENCE + name
            if target is not None:
                definitions[name] = dict(target.kind)
                waiting.append((target, definitions[name], {}, 1))
            for below in part.below:
                placed = self._part(below.node).kind | below.beside
                _place(written, below.keyword, below.key, placed)
                waiting.append((self._part(below.node), placed, below.beside, level + 1))
            written.update(beside)
        if definitions:
            schema["$defs"] = definitions
        return schema

    def _name(self, path: ValuePath) -> str:
        """Returns the name of a definition: the last word of its path, and a number where another one has it."""
        if path not in self._names:
            word = name = _NOT_IN_NAMES.sub("_", str(path[-1]) if path else "Schema")[:_MAX_NAME] or "_"
            while name in self._taken:
                self._taken[word] += 1
                name = f"{word}_{self._taken[word]}"
            self._taken[name] = 1
            self._names[path] = name
        return self._names[path]

    def _part(self, node: Node) -> _Part:
        if node.path not in self._parts:
            self._parts[node.path] = self._read(node)
        return self._parts[node.path]

    def _read(self, node: Node) -> _Part:
        if not isinstance(node.value, Mapping):
            return self._sized({}, [], None, {})
        is_reference = isinstance(node.value.get("$ref"), str)
        target = self._references.follow(node, report=False) if is_reference else None
        below: list[_Below] = []
        for keyword in ("items", "additionalProperties"):
            if isinstance((part := node.child(keyword)).value, Mapping):
                below.append(_Below(keyword, "", part, {}))
        properties = node.child("properties")
        if isinstance(properties.value, Mapping):
            below += [_Below("properties", _text(key), properties.child(key), {}) for key in properties.value]
        below += [_Below(keyword, "", part, {}) for keyword in _ALTERNATIVES for part in node.child(keyword).items()]
        own = _own_keywords(node) | ({"properties": {}} if properties.value == {} else {})
        return self._sized(own, below, target, self._kind(node))

    def _sized(self, own: Schema, below: list[_Below], target: Node | None, kind: Schema) -> _Part:
        size = _length(own) + (len(_REFERENCE) + _MAX_NAME + 16 if target is not None else 0)
        for keyword, key, node, beside in below:
            size += len(keyword) + 8 + _length(key) + 4 + _length(self._kind(node) | beside)
        return _Part(own, below, target, kind, size)

    def _kind(self, node: Node) -> Schema:
        found = self._references.follow(node, report=False)
        return _type(found.value) if found is not None and isinstance(found.value, Mapping) else {}


def bounded_schema(schema: Mapping[str, Any]) -> Schema:
    """Writes the schema of an object as a step keeps it; one that was written before stays as it is.

    Raises:
        ValueError: It is a schema of something else than an object.
    """
    stated = schema.get("type", "object")
    if stated != "object":
        raise ValueError(f"expected the JSON schema of an object, got the type {stated!r}")
    writer = SchemaWriter(References(schema, lambda message, path: None))
    return {"type": "object"} | writer.schema(Node(schema))


def is_true(value: Any) -> bool:
    """Tells whether a raw value, of YAML or of JSON, is true."""
    return value is True or (isinstance(value, PlainScalar) and resolve_scalar(value) is True)


def _place(schema: Schema, keyword: str, key: str, part: Schema) -> None:
    if keyword == "properties":
        schema.setdefault(keyword, {})[key] = part
    elif keyword in _ALTERNATIVES:
        schema.setdefault(keyword, []).append(part)
    else:
        schema[keyword] = part


def _text(key: Any) -> str:
    # Half of a surrogate pair, which code can hand over, is no character.
    return str(key).encode(errors="replace").decode()


def _length(value: Any) -> int:
    return len(json.dumps(value))


def _own_keywords(node: Node) -> Schema:
    """Returns the keywords of a schema that hold no schema, without those that are wrong."""
    values: Mapping[str, Any] = node.value
    schema = _type(values)
    types = schema.get("type", [])
    choices = values.get("enum")
    if isinstance(choices, list) and choices:
        found = [_value(choice, types) for choice in choices]
        schema |= _written("enum", [*found, None] if is_true(values.get("nullable")) and None not in found else found)
    elif "const" in values:
        schema |= _written("const", _value(values["const"], types))
    if "default" in values:
        schema |= _written("default", _value(values["default"], types))
    for key in ("title", "description", "format"):
        if isinstance(values.get(key), str):
            schema |= _written(key, str(values[key]))
    required = values.get("required")
    if isinstance(required, list):
        schema |= _written("required", [str(name) for name in required if isinstance(name, str)])
    others = values.get("additionalProperties")
    if isinstance(others, bool | PlainScalar) and isinstance(flag := resolve_scalars(others), bool):
        schema["additionalProperties"] = flag
    return schema | _bounds(values)


def _type(values: Mapping[str, Any]) -> Schema:
    """Returns the type; a value that may be null has null beside it."""
    stated = values.get("type")
    types = [str(name) for name in (stated if isinstance(stated, list) else [stated]) if isinstance(name, str) and name in TYPES]
    if is_true(values.get("nullable")) and types and "null" not in types:  # OpenAPI 3.0
        types.append("null")
    return {"type": types[0] if len(types) == 1 else types} if types else {}


def _value(value: Any, types: Any) -> Any:
    # What YAML leaves open, the type decides: ``on`` and 1.10 are texts where the type is a string.
    if isinstance(value, PlainScalar) and (types == "string" or "string" in types):
        return None if "null" in types and resolve_scalar(value) is None else str(value)
    return resolve_scalars(value) if not is_deep(value) else value


def _written(key: str, value: Any) -> Schema:
    """Returns a keyword with its value as JSON holds it; nothing where it cannot."""
    if is_deep(value):
        return {}
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        return {}
    return {key: json.loads(text.encode(errors="replace"))}


def _bounds(values: Mapping[str, Any]) -> Schema:
    bounds: Schema = {}
    for key in (*_NUMBERS, *_COUNTS):
        number = values.get(key)
        number = resolve_scalar(number) if isinstance(number, PlainScalar) else number
        if not isinstance(number, int | float) or isinstance(number, bool) or (isinstance(number, float) and key in _COUNTS):
            continue
        # A multiple is of more than nothing, and a lower bound of nothing says nothing.
        if number > 0 or key in _SIGNED:
            bounds |= _written(key, number)
    for key, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if is_true(values.get(key)) and limit in bounds:  # OpenAPI 3.0
            bounds[key] = bounds.pop(limit)
    if is_true(values.get("uniqueItems")):
        bounds["uniqueItems"] = True
    return bounds
