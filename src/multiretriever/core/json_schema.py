"""JSON schemas in documents of APIs and tools: the references between them, and the inputs that one names.

References are followed inside the document only, by the library ``referencing``, and nothing is ever fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from referencing import Registry, Resource
from referencing.exceptions import Unresolvable

from multiretriever.core.yaml_io import PlainScalar, ValuePath, is_null, name_of, resolve_scalar

ALTERNATIVES = ("anyOf", "oneOf", "allOf")
# Keywords by which an object has properties that are not named beside them.
_MORE_PROPERTIES = ("patternProperties", "anyOf", "oneOf")
# Schemas in which the type of a value is looked for, where its own does not state one.
_MAX_SEARCHED = 200


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
        # By identity: code can hand over a schema that holds itself.
        waiting, seen = [schema], set[int]()
        while waiting:
            node = self.follow(waiting.pop())
            if node is None or (isinstance(node.value, Mapping) and id(node.value) in seen):
                continue
            seen.add(id(node.value))
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
            options = [option for key in ALTERNATIVES for option in node.child(key).items()]
            waiting.extend(reversed(options[:_MAX_SEARCHED]))
        return "any"

    def is_closed(self, schema: Node) -> bool:
        """Tells whether an object has only the properties that its schema, and those that it is put together of, name."""
        waiting, seen, is_named = [schema], set[int](), False
        while waiting:
            node = self.follow(waiting.pop(), report=False)
            if node is None:
                return False
            if not isinstance(node.value, Mapping) or id(node.value) in seen:
                continue
            seen.add(id(node.value))
            others = node.value.get("additionalProperties")
            if is_true(others) or isinstance(others, Mapping) or any(node.value.get(key) for key in _MORE_PROPERTIES):
                return False
            is_named = is_named or isinstance(node.value.get("properties"), Mapping)
            waiting.extend(node.child("allOf").items())
        return is_named

    def is_read_only(self, schema: Node) -> bool:
        """Tells whether a schema is that of a value which only answers hold."""
        node = self.follow(schema, report=False)
        return node is not None and isinstance(node.value, Mapping) and is_true(node.value.get("readOnly"))


def is_true(value: Any) -> bool:
    """Tells whether a raw value, of YAML or of JSON, is true."""
    return value is True or (isinstance(value, PlainScalar) and resolve_scalar(value) is True)
