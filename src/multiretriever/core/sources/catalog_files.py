"""The mapping form of a catalog, which YAML and JSON files share.

A mapping with lists under the plural names of element types, and optionally ``scope``, which holds for every element that names
none. Tables may nest their fields.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from multiretriever.core.elements import element_type, element_types
from multiretriever.core.errors import ElementTypeError, Problem
from multiretriever.core.records import ProblemLog, Record
from multiretriever.core.sources.files import Located, parse_json, parse_lines, text_of
from multiretriever.core.yaml_io import ValuePath, is_null, name_of, parse_yaml


def catalog_records(document: Located, source: str, log: ProblemLog) -> Iterator[Record]:
    """Gives the records of one document in the mapping form."""
    if not isinstance(document.value, dict):
        log.add(
            f"a mapping with lists such as 'steps' and 'tables' is due (got {name_of(document.value)})", source, document.line(())
        )
        return
    scope = document.value.get("scope")
    if isinstance(scope, str | None):
        scope = None if is_null(scope) else scope
    else:
        log.add(f"must be text (got {name_of(scope)})", source, document.line(("scope",)), "scope")
        scope = None
    names = {kind.plural: kind.name for kind in element_types()}
    for key in document.value:
        if key in names:
            yield from _list_records(document, key, names[key], scope, source, log)
        elif key != "scope":
            log.add(_unknown_key(key, names), source, document.line((key,)), key)


def _unknown_key(key: str, names: Mapping[str, str]) -> str:
    singular = {name: plural for plural, name in names.items()}
    near = difflib.get_close_matches(key.lower(), [*names, *singular, "scope"], n=1)
    if near:
        return f"{key!r} is not a known key; was {singular.get(near[0], near[0])!r} meant?"
    return f"{key!r} is not a known key; known are scope, {', '.join(names)}"


def _list_records(document: Located, key: str, kind: str, scope: str | None, source: str, log: ProblemLog) -> Iterator[Record]:
    items = document.value[key]
    if is_null(items):
        return
    if not isinstance(items, list):
        log.add(f"a list is due (got {name_of(items)})", source, document.line((key,)), key)
        return
    for index, values in enumerate(items):
        yield from record_at(document, (key, index), kind, values, source, log, scope=scope)


def record_at(
    document: Located, path: ValuePath, kind: str, values: Any, source: str, log: ProblemLog, *, scope: str | None = None
) -> Iterator[Record]:
    """Gives the record of the element at a path, and those of the fields nested in it."""

    def line(below: ValuePath) -> int | None:
        return document.line((*path, *below))

    if not isinstance(values, dict):
        where = "".join(f"[{part}]" if isinstance(part, int) else part for part in path) or None
        log.add(f"a mapping of keys to values is due (got {name_of(values)})", source, line(()), where)
        return
    if scope is not None and is_null(values.get("scope")):
        values = {**values, "scope": scope}
    yield from nested_records(Record(kind, values, source, line), log)


def nested_records(record: Record, log: ProblemLog) -> Iterator[Record]:
    """Gives a record and, for a table with a list of mappings under ``fields``, one for each of its fields."""
    fields = record.values.get("fields") if _is_table(record.element_type) else None
    if is_null(fields) or (isinstance(fields, list) and fields and all(isinstance(item, str) for item in fields)):
        yield record
        return
    yield replace(record, values={key: value for key, value in record.values.items() if key != "fields"})
    if not isinstance(fields, list):
        log.problems.append(record.problem(f"a list of fields is due (got {name_of(fields)})", "fields"))
        return
    for index, values in enumerate(fields):
        if isinstance(values, dict):
            yield _field_record(record, index, values, log)
        else:
            message = f"a mapping of keys to values is due (got {name_of(values)})"
            log.problems.append(record.problem(message, f"fields[{index}]", ("fields", index)))


def _is_table(name: str) -> bool:
    try:
        return element_type(name).name == "table"
    except ElementTypeError:
        return False


def _field_record(table: Record, index: int, values: Mapping[str, Any], log: ProblemLog) -> Record:
    def line(path: ValuePath) -> int | None:
        return table.line(("fields", index, *path))

    name, stated = table.values.get("name"), values.get("table")
    if not is_null(stated) and stated != name:
        message = f"the field names table {stated!r} but stands in table {name!r}"
        log.problems.append(table.problem(message, f"fields[{index}].table", ("fields", index, "table")))
    scope = values.get("scope") if not is_null(values.get("scope")) else table.values.get("scope")
    return Record("field", {**values, "table": name, "scope": scope}, table.source, line)


# Catalogs in YAML files.


class YamlSource:
    """A YAML file of one or several documents, each a catalog: lists of elements under the plural names of their types."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives the records of the file; what is wrong goes to the log with its line."""
        text = text_of(self.path, log)
        if text is None:
            return
        documents = parse_yaml(text, str(self))
        if isinstance(documents, Problem):
            log.problems.append(documents)
            return
        filled = [document for document in documents if not is_null(document.value)]
        if not filled:
            log.add("the file holds only comments; a catalog is due", str(self))
        for document in filled:
            yield from catalog_records(document, str(self), log)

    def __str__(self) -> str:
        return str(self.path)


# Elements in JSON files, one a line or all in one value.

_LINE_SUFFIXES = (".jsonl", ".ndjson")


class JsonSource:
    """A ``.jsonl`` or ``.ndjson`` file of one element a line, or a ``.json`` file with a list of them or a catalog mapping.

    The type of an element is the name of the file (``step.jsonl``, ``steps.jsonl``) or stands in its ``element_type``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives the records of the file; what is wrong goes to the log with its line."""
        text = text_of(self.path, log)
        if text is None:
            return
        if self.path.suffix.lower() in _LINE_SUFFIXES:
            yield from self._read_lines(text, log)
            return
        document = parse_json(text, str(self))
        if isinstance(document, list):
            log.problems.extend(document)
        elif isinstance(document.value, list):
            for index in range(len(document.value)):
                yield from self._element(document, (index,), document.value[index], log)
        else:
            yield from catalog_records(document, str(self), log)

    def _read_lines(self, text: str, log: ProblemLog) -> Iterator[Record]:
        for _, document in parse_lines(text, str(self), log.problems):
            yield from self._element(document, (), document.value, log)

    def _element(self, document: Located, path: tuple[str | int, ...], values: object, log: ProblemLog) -> Iterator[Record]:
        kind = self._type_of_file() or (values.get("element_type") if isinstance(values, dict) else "")
        if isinstance(kind, str):
            if kind or not isinstance(values, dict):
                yield from record_at(document, path, kind, values, str(self), log)
            else:
                log.add("is blank", str(self), document.line((*path, "element_type")), "element_type")
        elif kind is None:
            known = ", ".join(item.name for item in element_types())
            message = f"is missing, and the file is not named after a type either (known are {known})"
            log.add(message, str(self), document.line(path), "element_type")
        else:
            line = document.line((*path, "element_type"))
            log.add(f"must be text (got {name_of(kind)})", str(self), line, "element_type")

    def _type_of_file(self) -> str | None:
        try:
            return element_type(self.path.stem).name
        except ElementTypeError:
            return None

    def __str__(self) -> str:
        return str(self.path)
