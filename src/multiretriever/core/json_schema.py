"""Inputs of a step from the JSON schema of an API or a tool.

References are followed inside the document only; nothing is ever fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from multiretriever.core.yaml_io import PlainScalar, ValuePath, name_of, resolve_scalar

# A type written as alternatives of alternatives is followed so far and no further.
_MAX_ALTERNATIVES = 5


@dataclass(frozen=True)
class Node:
    """A value of a document and its path, from which its line is found."""

    value: Any
    path: ValuePath

    def child(self, key: str | int) -> Node:
        """Returns a value of a mapping or list; None stands for one that is not there."""
        if isinstance(self.value, Mapping):
            return Node(self.value.get(str(key)), (*self.path, key))
        fits = isinstance(self.value, list) and isinstance(key, int) and key < len(self.value)
        return Node(self.value[int(key)] if fits else None, (*self.path, key))


@dataclass(frozen=True)
class Found:
    """One property of a schema."""

    name: str
    node: Node
    required: bool


class References:
    """Follows the references of one document.

    Args:
        root: The whole document.
        report: Takes what cannot be followed: a message and the path of the reference.
    """

    def __init__(self, root: Any, report: Callable[[str, ValuePath], None]) -> None:
        self._root = root
        self._report = report

    def follow(self, node: Node, *, report: bool = True) -> Node | None:
        """Returns what a node stands for, itself unless it is a reference; None where that cannot be told."""
        seen: set[str] = set()
        while isinstance(node.value, Mapping) and isinstance(node.value.get("$ref"), str):
            target = str(node.value["$ref"])
            found, message = self._look_up(target)
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
        node = Node(self._root, ())
        for part in unquote(target[1:]).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            node = node.child(int(key) if isinstance(node.value, list) and key.isdecimal() else key)
            if node.value is None:
                return None, f"the reference {target!r} leads nowhere"
        return node, ""

    def properties(self, schema: Node) -> Iterator[Found]:
        """Gives the top-level properties of an object's schema, with those of the schemas that it is put together of."""
        found: dict[str, Node] = {}
        required: set[str] = set()
        waiting, seen = [schema], set()
        while waiting:
            node = self.follow(waiting.pop())
            if node is None or node.path in seen:
                continue
            seen.add(node.path)
            if not isinstance(node.value, Mapping | bool):
                self._report(f"a schema is a mapping (got {name_of(node.value)})", node.path)
                continue
            own = node.child("properties")
            if isinstance(own.value, Mapping):
                for key in own.value:
                    found.setdefault(key, own.child(key))
            elif own.value is not None:
                self._report(f"properties is a mapping (got {name_of(own.value)})", own.path)
            names = node.child("required").value
            if isinstance(names, list):
                required.update(name for name in names if isinstance(name, str))
            parts = node.child("allOf")
            waiting.extend(parts.child(index) for index in reversed(range(_length(parts.value))))
        for name, node in found.items():
            yield Found(name, node, name in required)

    def type_of(self, schema: Node, depth: int = 0) -> str:
        """Returns the type of a value in one word; ``any`` where its schema does not say."""
        node = self.follow(schema, report=False)
        if node is None or not isinstance(node.value, Mapping):
            return "any"
        stated = node.value.get("type")
        for name in stated if isinstance(stated, list) else [stated]:
            if isinstance(name, str) and name != "null":
                return str(name)
        if "properties" in node.value:
            return "object"
        for key in ("anyOf", "oneOf", "allOf") if depth < _MAX_ALTERNATIVES else ():
            options = node.child(key)
            for index in range(_length(options.value)):
                name = self.type_of(options.child(index), depth + 1)
                if name != "any":
                    return name
        return "any"

    def input_of(self, found: Found) -> dict[str, Any]:
        """Returns the raw values of a step's input for a property."""
        node = self.follow(found.node, report=False)
        own = found.node.value if isinstance(found.node.value, Mapping) else {}
        schema = node.value if node is not None and isinstance(node.value, Mapping) else {}
        values = {"name": found.name, "type": self.type_of(found.node), "required": found.required}
        # Words beside a reference say what it is for here; those of its target say what it is in general.
        for key, source in (("label", "title"), ("description", "description")):
            words = own.get(source) or schema.get(source)
            if words is not None:
                values[key] = words
        return values


def is_true(value: Any) -> bool:
    """Tells whether a raw value, of YAML or of JSON, is true."""
    return value is True or (isinstance(value, PlainScalar) and resolve_scalar(value) is True)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0
