"""Tools of agents as steps: descriptions as the Model Context Protocol (MCP) lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from multiretriever.core.errors import CatalogError, ParameterError
from multiretriever.core.json_schema import Input, Node, References, SchemaWriter
from multiretriever.core.records import ProblemLog, Record, field_path
from multiretriever.core.sources.files import Located, parse_json, text_of
from multiretriever.core.yaml_io import ValuePath, name_of

# One tool's description as the record of a step.


def tool_record(
    name: Any,
    description: Any = None,
    schema: Any = None,
    scope: str = "tools",
    *,
    title: Any = None,
    annotations: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    source: str = "tools",
    line: Callable[[ValuePath], int | None] = lambda path: None,
    log: ProblemLog | None = None,
) -> Record:
    """Makes the record of a step from the parts of a tool's description.

    Args:
        name: Name that the tool is called by.
        description: What it does, in words.
        schema: JSON schema of its arguments.
        scope: Scope of the step.
        title: Name as people read it.
        annotations: Further values, for the metadata.
        more: Further values of the step, such as a scope of its own.
        source: Where it comes from.
        line: Gives the line of a path into the description; below ``inputs`` a path into the schema follows.
        log: Takes what is wrong with the schema.

    Raises:
        CatalogError: Something is wrong with the schema, and there is no log to take it.
    """
    problems = log if log is not None else ProblemLog()

    def report(message: str, path: ValuePath) -> None:
        problems.add(message, source, line(("inputs", *path)), field_path(("inputSchema", *path)))

    references = References(schema, report)
    inputs = list(references.inputs(Node(schema))) if schema is not None else []
    if log is None and problems.problems:
        raise CatalogError(problems.problems)
    hints = dict(annotations or {})
    heading = hints.pop("title", None)
    values = {
        "scope": scope,
        "name": name,
        "label": title if title is not None else heading,
        "description": description,
        "inputs": [item.values for item in inputs],
        "input_schema": SchemaWriter(references).object_schema(inputs, Node(schema)) if schema is not None else None,
        "metadata": hints,
        **(more or {}),
    }
    return Record("step", values, source, lambda path: line(_described(path, inputs)))


def _described(path: ValuePath, inputs: list[Input]) -> ValuePath:
    """Returns where the value of a step stands in the description; below ``inputs`` the path into the schema follows."""
    if path[:1] == ("inputs",) and len(path) > 1 and isinstance(path[1], int) and path[1] < len(inputs):
        return ("inputs", *inputs[path[1]].path, *path[2:])
    key = {"metadata": "annotations", "label": "title"}.get(str(path[0])) if path else None
    return (key, *path[1:]) if key else path


# Parts of a description that say nothing to those who look for a tool.
_UNUSED = {"outputSchema", "output_schema", "icons", "execution", "_meta"}
_READ = {"name", "title", "description", "inputSchema", "input_schema", "annotations"}


class _Values:
    """Values that were handed over by code, and so have no lines."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def line(self, path: ValuePath) -> int | None:
        return None


class ToolSource:
    """Tool descriptions: a list, the result of MCP's ``tools/list``, or the path of a JSON file that holds either.

    A description has ``name``, ``title``, ``description``, ``inputSchema`` and ``annotations``; all but the name may be missing.
    The annotations become metadata.

    Raises:
        ParameterError: ``tools`` is none of them.
    """

    def __init__(self, tools: str | Path | Mapping[str, Any] | Iterable[Mapping[str, Any]], *, scope: str = "tools") -> None:
        self._path = Path(tools) if isinstance(tools, str | Path) else None
        if not isinstance(tools, str | Path | Iterable):
            raise ParameterError(f"tools is a list of descriptions or a path (got {type(tools).__name__})")
        # A generator gives its tools once, and a source is read as often as somebody wants.
        self._tools = tools if isinstance(tools, str | Path | Mapping) else list(tools)
        self.scope = scope

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives a record of type ``step`` for every tool; what is wrong goes to the log."""
        document: Located = _Values(self._tools)
        if self._path is not None:
            text = text_of(self._path, log)
            if text is None:
                return
            parsed = parse_json(text, str(self))
            if isinstance(parsed, list):
                log.problems.extend(parsed)
                return
            document = parsed
        tools = _tools_in(Node(document.value, ()))
        if not isinstance(tools.value, list):
            message = f"a list of tools, or a mapping with the key 'tools', is due (got {name_of(tools.value)})"
            log.add(message, str(self), document.line(tools.path))
            return
        for index in range(len(tools.value)):
            yield from self._record(document, tools.child(index), log)

    def _record(self, document: Located, tool: Node, log: ProblemLog) -> Iterable[Record]:
        def line(path: ValuePath) -> int | None:
            return document.line((*tool.path, *path))

        values = tool.value
        if not isinstance(values, Mapping):
            log.add(f"a tool is a mapping (got {name_of(values)})", str(self), line(()), f"tools[{tool.path[-1]}]")
            return
        annotations = values.get("annotations")
        if annotations is not None and not isinstance(annotations, Mapping):
            log.add(f"must be a mapping (got {name_of(annotations)})", str(self), line(("annotations",)), "annotations")
            annotations = None
        schema_key = "input_schema" if "inputSchema" not in values else "inputSchema"
        yield tool_record(
            values.get("name"),
            values.get("description"),
            values.get(schema_key),
            self.scope,
            title=values.get("title"),
            annotations=annotations,
            more={key: value for key, value in values.items() if key not in _READ | _UNUSED},
            source=str(self),
            line=lambda path: line((schema_key, *path[1:]) if path[:1] == ("inputs",) else path),
            log=log,
        )

    def __str__(self) -> str:
        return str(self._path) if self._path is not None else "tools"


def _tools_in(document: Node) -> Node:
    """Returns the list of tools in a list, in a result, or in the JSON-RPC answer around a result."""
    for key in ("result", "tools"):
        if isinstance(document.value, Mapping) and key in document.value:
            document = document.child(key)
    return document
