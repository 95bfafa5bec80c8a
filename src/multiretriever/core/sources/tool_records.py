"""One tool's description as the record of a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from multiretriever.core.errors import CatalogError
from multiretriever.core.problems import field_path
from multiretriever.core.records import Path, ProblemLog, Record
from multiretriever.core.sources.json_schema import Found, Node, References


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
    line: Callable[[Path], int | None] = lambda path: None,
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
    found, inputs = _inputs(schema, source, line, problems)
    if log is None and problems.problems:
        raise CatalogError(problems.problems)
    hints = dict(annotations or {})
    heading = hints.pop("title", None)
    values = {
        "scope": scope,
        "name": name,
        "label": title if title is not None else heading,
        "description": description,
        "inputs": inputs,
        "metadata": hints,
        **(more or {}),
    }
    return Record("step", values, source, lambda path: line(_described(path, found)))


def _inputs(
    schema: Any, source: str, line: Callable[[Path], int | None], log: ProblemLog
) -> tuple[list[Found], list[dict[str, Any]]]:
    def report(message: str, path: Path) -> None:
        log.add(message, source, line(("inputs", *path)), field_path(("inputSchema", *path)))

    references = References(schema, report)
    found = list(references.properties(Node(schema, ()))) if schema is not None else []
    return found, [references.input_of(item) for item in found]


def _described(path: Path, found: list[Found]) -> Path:
    """Returns where the value of a step stands in the description; below ``inputs`` the path into the schema follows."""
    if path[:1] == ("inputs",) and len(path) > 1 and isinstance(path[1], int) and path[1] < len(found):
        return ("inputs", *found[path[1]].node.path, *path[2:])
    key = {"metadata": "annotations", "label": "title"}.get(str(path[0])) if path else None
    return (key, *path[1:]) if key else path
