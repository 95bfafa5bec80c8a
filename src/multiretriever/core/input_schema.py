"""The JSON schema of its inputs that a step keeps, and the one that a chat model is shown.

Whoever made the document that a schema comes from: what is written of it is bounded, and takes a time that grows with itself,
however often the schemas of the document refer to each other or to themselves.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from multiretriever.core.json_schema import ALTERNATIVES, Input, Node, References, is_true
from multiretriever.core.yaml_io import PlainScalar, ValuePath, is_deep, resolve_scalar, resolve_scalars

Schema = dict[str, Any]


STORED = "stored"
"""Pydantic's context while an element is read that an index wrote: its schema is bounded already."""


class BoundedSchema(Schema):
    """A schema that was written as a step keeps it, and need not be written again."""


TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
MAX_SCHEMA = 64 * 1024
"""Most characters of JSON that a step keeps of the schema of its inputs."""
_SIGNED = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_NUMBERS = (*_SIGNED, "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
# What these say of the rest, beside keywords that are not kept, would be said of too much.
_OF_THE_REST = (("items", "prefixItems"), ("additionalProperties", "patternProperties"))
# Parts nested deeper are not kept; what reads JSON back gives up at about 200 levels.
_MAX_LEVELS = 32
_REFERENCE = "#/$defs/"
_MAX_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


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


class _Waiting(NamedTuple):
    """A part that is to be written, where its type is already, and the targets that it is written below."""

    part: _Part
    written: Schema
    beside: Schema
    level: int = 0
    above: frozenset[ValuePath] = frozenset()


class SchemaWriter:
    """Writes the schemas that steps keep, bounded and with the definitions that they refer to.

    Kept are types, choices, bounds, formats, titles, descriptions, defaults, properties, items and alternatives. Left out are
    keywords that are wrong or not among these, and patterns: one of a document may take forever to match. What passes
    the limit or 32 levels, breadth first, keeps its type alone. What fits the whole schema fits the one that is written, where
    ``oneOf`` is read as ``anyOf``: of shortened alternatives more than one may fit.

    Args:
        references: The schemas of the document; a part that many steps share is read once.
        limit: Most characters of JSON of a schema.
        inline: Whether what is referred to is written in place of the reference; where it holds itself, its type is.
    """

    def __init__(self, references: References, *, limit: int = MAX_SCHEMA, inline: bool = False) -> None:
        self._references = references
        self._limit = limit
        self._inline = inline
        self._parts: dict[ValuePath, _Part] = {}
        self._names: dict[ValuePath, str] = {}
        self._taken: dict[str, int] = {}

    def schema(self, node: Node) -> BoundedSchema:
        """Writes a schema."""
        return self._write(self._part(node))

    def object_schema(self, inputs: Iterable[Input], whole: Node | None = None, *, closed: bool = True) -> BoundedSchema:
        """Writes the schema of an object with the inputs as properties.

        Args:
            inputs: The inputs.
            whole: The schema that they were read from, where there is one; its alternatives hold beside them.
            closed: Whether the object has no other properties, where ``whole`` does not say.
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
            closed = self._references.is_closed(found)
        if closed and all(part.keyword == "properties" for part in below):
            own.setdefault("additionalProperties", False)
        return self._write(self._sized(own, below, None, {"type": "object"}))

    def _write(self, root: _Part) -> BoundedSchema:
        schema = BoundedSchema(root.kind)
        definitions: dict[str, Schema] = {}
        left = self._limit - len('"$defs": {}, ') - _length(root.kind)
        waiting: deque[_Waiting] = deque([_Waiting(root, schema, {})])
        while waiting:
            place = self._inlined(waiting.popleft(), left)
            part, written = place.part, place.written
            if part.is_whole or place.level > _MAX_LEVELS:
                continue
            name = self._name(part.target.path) if part.target is not None else ""
            target = self._part(part.target) if part.target is not None and name not in definitions else None
            cost = part.size + 2 - _length(part.kind)
            cost += len(name) + 6 + _length(target.kind) if target is not None else 0
            if cost > left and place.level == 0:
                part = self._trimmed(part, left + _length(part.kind) - 2)
                cost = part.size + 2 - _length(part.kind)
            if cost > left:
                continue
            left -= cost
            written.clear()
            written.update(part.own)
            for below in part.below:
                placed = self._part(below.node).kind | below.beside
                _place(written, below.keyword, below.key, placed)
                waiting.append(_Waiting(self._part(below.node), placed, below.beside, place.level + 1, place.above))
            written.update(place.beside)
            if target is not None:
                definitions[name] = dict(target.kind)
                waiting.append(_Waiting(target, definitions[name], {}, 1))
        if definitions:
            schema["$defs"] = definitions
        return schema

    def _inlined(self, place: _Waiting, left: int) -> _Waiting:
        """Puts what a part refers to in its place, unless references are written; its type where that has no end or room."""
        target = place.part.target
        if target is None or not self._inline:
            return place
        found, own = self._part(target), place.part
        if target.path in place.above or found.size > left:
            return place._replace(part=_Part(own.kind, [], None, own.kind, 0))
        below = [*[part for part in found.below if part.keyword not in {mine.keyword for mine in own.below}], *own.below]
        merged = self._sized(found.own | own.own, below, None, own.kind)
        return place._replace(part=merged, above=place.above | {target.path})

    def _trimmed(self, part: _Part, room: int) -> _Part:
        """Returns an object with the properties that there is room for, the required ones first; others may be given too."""
        own = {key: value for key, value in part.own.items() if key not in ("required", "additionalProperties")}
        required = set(part.own.get("required", ()))
        room -= self._sized(own | {"required": []}, [], None, part.kind).size + len('"properties": {}, ')
        properties = [below for below in part.below if below.keyword == "properties"]
        kept = set[str]()
        for below in sorted(properties, key=lambda below: below.key not in required):
            cost = _length(below.key) + 4 + _length(self._kind(below.node) | below.beside)
            cost += _length(below.key) + 2 if below.key in required else 0
            if cost <= room:
                room -= cost
                kept.add(below.key)
        own["required"] = [name for name in part.own.get("required", ()) if name in kept]
        return self._sized(own, [below for below in properties if below.key in kept], part.target, part.kind)

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
        for keyword, unless in _OF_THE_REST:
            if isinstance((part := node.child(keyword)).value, Mapping) and unless not in node.value:
                below.append(_Below(keyword, "", part, {}))
        properties = node.child("properties")
        if isinstance(properties.value, Mapping):
            below += [_Below("properties", _text(key), properties.child(key), {}) for key in properties.value]
        below += _alternatives(node)
        own = _own_keywords(node) | ({"properties": {}} if properties.value == {} else {})
        if "required" in own:  # what only answers hold is not asked for
            own["required"] = [name for name in own["required"] if not self._references.is_read_only(properties.child(name))]
        if target is not None and not self._inline:
            own["$ref"] = _REFERENCE + self._name(target.path)
        return self._sized(own, below, target, self._kind(node))

    def _sized(self, own: Schema, below: list[_Below], target: Node | None, kind: Schema) -> _Part:
        size = _length(own) + sum(len(keyword) + 8 for keyword in {part.keyword for part in below})
        for part in below:
            size += _length(part.key) + 4 + _length(self._kind(part.node) | part.beside)
        return _Part(own, below, target, kind, size)

    def _kind(self, node: Node) -> Schema:
        found = self._references.follow(node, report=False)
        return _type(found.value) if found is not None and isinstance(found.value, Mapping) else {}


def bounded_schema(schema: Mapping[str, Any]) -> BoundedSchema:
    """Writes the schema of an object as a step keeps it; one that was written before stays as it is.

    Raises:
        ValueError: It is a schema of something else than an object.
    """
    stated = schema.get("type", "object")
    if stated != "object":
        raise ValueError(f"expected the JSON schema of an object, got the type {stated!r}")
    writer = SchemaWriter(References(schema, lambda message, path: None))
    return BoundedSchema({"type": "object"} | writer.schema(Node(schema)))


def inlined_schema(schema: Mapping[str, Any], limit: int) -> Schema:
    """Writes a schema without references, which not all chat models and frameworks read, in at most ``limit`` characters."""
    writer = SchemaWriter(References(schema, lambda message, path: None), limit=limit, inline=True)
    return writer.schema(Node(schema))


def _alternatives(node: Node) -> list[_Below]:
    """Returns the alternatives below a schema; a value that may be null has null among them."""
    found = {keyword: node.child(keyword).items() for keyword in ALTERNATIVES}
    if is_true(node.value.get("nullable")):  # OpenAPI 3.0
        null = Node({"type": "null"}, (*node.path, "nullable"))
        # "nullable" beside "allOf" is how a reference that may be null is written there.
        one = found.pop("allOf")
        found["anyOf"] = found["anyOf"] or (one if len(one) == 1 else [])
        found = {keyword: [*parts, null] for keyword, parts in found.items() if parts}
    return [_Below(keyword, "", part, {}) for keyword, parts in found.items() for part in parts]


def _place(schema: Schema, keyword: str, key: str, part: Schema) -> None:
    if keyword == "properties":
        schema.setdefault(keyword, {})[key] = part
    elif keyword in ALTERNATIVES:
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
        schema |= _written("required", list(dict.fromkeys(str(name) for name in required if isinstance(name, str))))
    others = values.get("additionalProperties")
    if (
        isinstance(others, bool | PlainScalar)
        and isinstance(flag := resolve_scalars(others), bool)
        and not values.get("patternProperties")
    ):
        schema["additionalProperties"] = flag
    return schema | _bounds(values)


def _type(values: Mapping[str, Any]) -> Schema:
    """Returns the type; a value that may be null has null beside it."""
    stated = values.get("type")
    named = [str(name) for name in (stated if isinstance(stated, list) else [stated]) if isinstance(name, str) and name in TYPES]
    types = list(dict.fromkeys(named))
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
