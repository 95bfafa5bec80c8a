"""Telling by suffix and content what a file holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from multiretriever.core.errors import Problem
from multiretriever.core.records import Source
from multiretriever.core.sources.csv_files import CsvSource
from multiretriever.core.sources.flow_files import FlowSource
from multiretriever.core.sources.json_files import JsonSource
from multiretriever.core.sources.json_text import parse_json
from multiretriever.core.sources.openapi import OpenApiSource
from multiretriever.core.sources.sql import SqlSource
from multiretriever.core.sources.sql_urls import NO_SQLITE, sqlite_file_fault
from multiretriever.core.sources.tools import ToolSource
from multiretriever.core.sources.yaml_files import YamlSource
from multiretriever.core.textfile import read_text
from multiretriever.core.yaml_io import parse_yaml


def is_read(file: Path) -> bool:
    """Tells whether a file in a folder is one that is read."""
    # In a folder, a .db that is no SQLite database is something else, such as the thumbnails of Windows.
    suffix = file.suffix.lower()
    return suffix in KINDS and not (suffix == ".db" and sqlite_file_fault(file) == NO_SQLITE)


def file_source(path: Path, *, in_flows: bool) -> Source:
    """Returns the source that reads a file of a suffix in ``KINDS``; YAML files of a flows folder are flows in any case."""
    return KINDS[path.suffix.lower()](path, in_flows)


def _yaml_source(path: Path, in_flows: bool) -> Source:
    if in_flows:
        return FlowSource(path)
    text = read_text(path)
    documents = text if isinstance(text, Problem) else parse_yaml(text, str(path))
    if isinstance(documents, Problem):
        return YamlSource(path)
    for document in documents:
        for value in document.value if isinstance(document.value, list) else [document.value]:
            if _is_openapi(value):
                return OpenApiSource(path)
            if _is_flow(value):
                return FlowSource(path)
    return YamlSource(path)


def _json_source(path: Path, in_flows: bool) -> Source:
    text = read_text(path)
    document = None if isinstance(text, Problem) else parse_json(text, str(path))
    if document is None or isinstance(document, list):
        return JsonSource(path)
    if _is_openapi(document.value):
        return OpenApiSource(path)
    return ToolSource(path) if _holds_tools(document.value) else JsonSource(path)


def _is_openapi(value: Any) -> bool:
    return isinstance(value, Mapping) and ("openapi" in value or "swagger" in value)


def _is_flow(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    steps = value.get("steps")
    first = steps[0] if isinstance(steps, list) and steps else None
    has_flow_steps = isinstance(first, Mapping) and bool({"annotation", "order"} & first.keys())
    return "requirement" in value or "trigger" in value or has_flow_steps


def _holds_tools(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, Mapping) and ("inputSchema" in item or "input_schema" in item) for item in value)
    if not isinstance(value, Mapping):
        return False
    result = value.get("result")
    return "tools" in value or (isinstance(result, Mapping) and "tools" in result)


def _database_source(path: Path, in_flows: bool) -> Source:
    return SqlSource(path)


KINDS: dict[str, Callable[[Path, bool], Source]] = {
    ".yaml": _yaml_source,
    ".yml": _yaml_source,
    ".json": _json_source,
    ".jsonl": lambda path, in_flows: JsonSource(path),
    ".ndjson": lambda path, in_flows: JsonSource(path),
    ".csv": lambda path, in_flows: CsvSource(path),
    ".db": _database_source,
    ".sqlite": _database_source,
    ".sqlite3": _database_source,
}
