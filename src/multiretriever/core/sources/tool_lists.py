"""Tools of agents as steps: descriptions as the Model Context Protocol (MCP) lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from multiretriever.core.errors import ParameterError
from multiretriever.core.input_schema import SchemaWriter
from multiretriever.core.json_schema import Input, Node, References
from multiretriever.core.records import ProblemLog, Record
from multiretriever.core.sources.files import FileSource, JsonDocument, Located, Parsed, record_at
from multiretriever.core.yaml_io import ValuePath, name_of

# Parts of a description that say nothing to those who look for a tool.
_UNUSED = {"outputSchema", "output_schema", "icons", "execution", "_meta"}
_READ = {"name", "title", "description", "inputSchema", "input_schema", "annotations"}
# A step's attributes and the keys of a description that they are read from.
_KEYS = {"metadata": "annotations", "label": "title"}


class ToolSource:
    """Tool descriptions: a list, the result of MCP's ``tools/list``, or the path of a JSON file that holds either.

    A description has ``name``, ``title``, ``description``, ``inputSchema`` and ``annotations``; all but the name may be missing.
    The annotations become metadata, and so do keys that are not known.

    Args:
        tools: The descriptions, or the path.
        scope: Scope of the steps.
        parsed: What the file holds, where it was read before (see ``FileSource``).

    Raises:
        ParameterError: ``tools`` is none of them.
    """

    def __init__(
        self,
        tools: str | Path | Mapping[str, Any] | Iterable[Mapping[str, Any]],
        *,
        scope: str = "tools",
        parsed: Parsed | None = None,
    ) -> None:
        if not isinstance(tools, str | Path | Iterable):
            raise ParameterError(f"tools: expected a list of descriptions or a path, got {type(tools).__name__}")
        self._file = FileSource(tools, parsed=parsed) if isinstance(tools, str | Path) else None
        # A generator yields its tools once, and a source is read as often as somebody wants.
        self._tools = tools if isinstance(tools, str | Path | Mapping) else list(tools)
        self.scope = scope

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Yields a record of type ``step`` for every tool; what is wrong goes to the log."""
        for document in (JsonDocument(self._tools),) if self._file is None else self._file.documents(log):
            tools = _tools_in(Node(document.value))
            if isinstance(tools.value, list):
                for tool in tools.items():
                    yield from self._record(document, tool, log)
            else:
                message = f"expected a list of tools, or a mapping with the key 'tools', got {name_of(tools.value)}"
                log.add(message, str(self), document.line(tools.path))

    def _record(self, document: Located, tool: Node, log: ProblemLog) -> Iterable[Record]:
        given = record_at(document, tool.path, "step", tool.value, str(self))
        if not isinstance(tool.value, Mapping):
            log.problems.append(given.problem(f"expected a mapping as a tool, got {name_of(tool.value)}"))
            return
        hints = tool.value.get("annotations")
        if hints is not None and not isinstance(hints, Mapping):
            log.problems.append(given.problem(f"must be a mapping (got {name_of(hints)})", "annotations"))
            hints = None
        hints = dict(hints or {})
        heading, title = hints.pop("title", None), tool.value.get("title")
        schema_key = "inputSchema" if "inputSchema" in tool.value else "input_schema"
        schema = tool.value.get(schema_key)

        def report(message: str, path: ValuePath) -> None:
            log.problems.append(given.problem(message, schema_key, *path))

        references = References(schema, report)
        inputs = list(references.inputs(Node(schema))) if schema is not None else []
        values = {
            "scope": self.scope,
            "name": tool.value.get("name"),
            "label": title if title is not None else heading,
            "description": tool.value.get("description"),
            "inputs": [item.values for item in inputs],
            "input_schema": SchemaWriter(references).object_schema(inputs, Node(schema)) if schema is not None else None,
            "metadata": hints,
            **{key: value for key, value in tool.value.items() if key not in _READ | _UNUSED},
        }

        def place(path: ValuePath) -> ValuePath:
            return _described(path, schema_key, inputs)

        yield Record("step", values, str(self), lambda path: given.line(place(path)), lambda path: given.path(place(path)))

    def __str__(self) -> str:
        return "tools" if self._file is None else str(self._file)


def _tools_in(document: Node) -> Node:
    """Returns the list of tools in a list, in a result, or in the JSON-RPC answer around a result."""
    for key in ("result", "tools"):
        if isinstance(document.value, Mapping) and key in document.value:
            document = document.child(key)
    return document


def _described(path: ValuePath, schema_key: str, inputs: list[Input]) -> ValuePath:
    """Returns where in the description the value of a step is stated."""
    if path[:1] == ("inputs",) and len(path) > 1 and isinstance(path[1], int):
        return (schema_key, *inputs[path[1]].path, *path[2:])
    return (_KEYS.get(str(path[0]), path[0]), *path[1:]) if path else path
