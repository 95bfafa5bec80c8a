"""Elements in YAML and JSON files.

Both share the mapping form of a catalog: lists under the plural names of element types and, optionally, ``scope``, which holds
for every element that names none. Tables may nest their fields. JSON files may as well be a list of elements, or have one a line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from multiretriever.core.elements import element_type, element_types
from multiretriever.core.errors import ElementTypeError
from multiretriever.core.records import ProblemLog, Record, field_path
from multiretriever.core.sources.files import FileSource, Located, parse_lines, record_at, text_of
from multiretriever.core.yaml_io import is_null, name_of

LINE_SUFFIXES = (".jsonl", ".ndjson")


class YamlSource(FileSource):
    """A YAML file of one or several documents, each a catalog: lists of elements under the plural names of their types."""

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Yields the records of the file; what is wrong goes to the log with its line."""
        before = len(log.problems)
        filled = [document for document in self.documents(log) if not is_null(document.value)]
        if not filled and len(log.problems) == before:
            log.add("expected a catalog, got only comments", str(self))
        for document in filled:
            yield from catalog_records(document, str(self), log)


class JsonSource(FileSource):
    """A ``.jsonl`` or ``.ndjson`` file of one element a line, or a ``.json`` file with a list of them or a catalog mapping.

    The type of an element is the name of the file (``step.jsonl``, ``steps.jsonl``) or its ``element_type``.
    """

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Yields the records of the file; what is wrong goes to the log with its line, or its path in a single value."""
        if self.path.suffix.lower() in LINE_SUFFIXES:
            text = text_of(self.path, log)
            for _, line in parse_lines(text or "", str(self), log.problems):
                yield from self._element(record_at(line, (), "", line.value, str(self)), log)
            return
        for document in self.documents(log):
            if not isinstance(document.value, list):
                yield from catalog_records(document, str(self), log)
                continue
            for index, values in enumerate(document.value):
                yield from self._element(record_at(document, (index,), "", values, str(self)), log)

    def _element(self, record: Record, log: ProblemLog) -> Iterator[Record]:
        kind = self._type_of_file()
        if kind is None and isinstance(record.values, Mapping):
            kind = self._stated_type(record, log)
            if kind is None:
                return
        yield from checked_records(replace(record, element_type=kind or ""), log)

    def _type_of_file(self) -> str | None:
        try:
            return element_type(self.path.stem).name
        except ElementTypeError:
            return None

    def _stated_type(self, record: Record, log: ProblemLog) -> str | None:
        kind = record.values.get("element_type")
        if kind is None:
            known = ", ".join(item.name for item in element_types())
            message = f"is missing, and the file is not named after a type either (known are {known})"
        elif not isinstance(kind, str):
            message = f"must be text (got {name_of(kind)})"
        elif not kind:
            message = "is blank"
        else:
            return kind
        log.problems.append(record.problem(message, "element_type"))
        return None


def catalog_records(document: Located, source: str, log: ProblemLog) -> Iterator[Record]:
    """Yields the records of one document in the mapping form."""
    root = record_at(document, (), "", document.value, source)
    if not isinstance(document.value, dict):
        got = name_of(document.value)
        log.problems.append(root.problem(f"expected a mapping with lists such as 'steps' and 'tables', got {got}"))
        return
    scope = document.value.get("scope")
    if not isinstance(scope, str | None):
        log.problems.append(root.problem(f"must be text (got {name_of(scope)})", "scope"))
    shared = {"scope": scope} if isinstance(scope, str) and not is_null(scope) else {}
    names = {kind.plural: kind.name for kind in element_types()}
    for key, items in document.value.items():
        if key == "scope" or (key in names and is_null(items)):
            continue
        if key not in names:
            log.problems.append(root.problem(_unknown_key(key, names), key))
        elif not isinstance(items, list):
            log.problems.append(root.problem(f"expected a list, got {name_of(items)}", key))
        else:
            for index, values in enumerate(items):
                record = record_at(document, (key, index), names[key], values, source)
                if shared and isinstance(values, dict) and is_null(values.get("scope")):
                    record = replace(record, values=values | shared)
                yield from checked_records(record, log)


def _unknown_key(key: str, names: Mapping[str, str]) -> str:
    singular = {name: plural for plural, name in names.items()}
    near = difflib.get_close_matches(key.lower(), [*names, *singular, "scope"], n=1)
    if near:
        return f"{key!r} is not a known key; was {singular.get(near[0], near[0])!r} meant?"
    return f"{key!r} is not a known key; known are scope, {', '.join(names)}"


def checked_records(record: Record, log: ProblemLog) -> Iterator[Record]:
    """Yields a record if its values are a mapping and, for a table with mappings under ``fields``, one for each of its fields."""
    if not isinstance(record.values, Mapping):
        message = f"expected a mapping of keys to values, got {name_of(record.values)}"
        # Here the place of the element is all that there is to name.
        log.problems.append(replace(record.problem(message), field=field_path(record.path(()))))
        return
    fields = record.values.get("fields") if _is_table(record.element_type) else None
    if is_null(fields) or (isinstance(fields, list) and fields and all(isinstance(item, str) for item in fields)):
        yield record
        return
    yield replace(record, values={key: value for key, value in record.values.items() if key != "fields"})
    if not isinstance(fields, list):
        log.problems.append(record.problem(f"expected a list of fields, got {name_of(fields)}", "fields"))
        return
    for index, values in enumerate(fields):
        if isinstance(values, dict):
            yield _field_record(record, index, values, log)
        else:
            message = f"expected a mapping of keys to values, got {name_of(values)}"
            log.problems.append(record.problem(message, "fields", index))


def _is_table(name: str) -> bool:
    try:
        return element_type(name).name == "table"
    except ElementTypeError:
        return False


def _field_record(table: Record, index: int, values: Mapping[str, Any], log: ProblemLog) -> Record:
    place = ("fields", index)
    name, stated = table.values.get("name"), values.get("table")
    if not is_null(stated) and stated != name:
        log.problems.append(table.problem(f"the field names table {stated!r} but belongs to table {name!r}", *place, "table"))
    scope = values.get("scope") if not is_null(values.get("scope")) else table.values.get("scope")
    return Record(
        "field",
        {**values, "table": name, "scope": scope},
        table.source,
        lambda path: table.line((*place, *path)),
        lambda path: table.path((*place, *path)),
    )
