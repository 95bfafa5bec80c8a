"""Checking raw records: every problem is collected, with its file, line and field."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pydantic

from multiretriever.core.elements import Element, Field, Table
from multiretriever.core.errors import ElementTypeError
from multiretriever.core.problems import field_path, problems_of
from multiretriever.core.records import Path, ProblemLog, Record
from multiretriever.core.registry import element_type
from multiretriever.core.scalars import PlainScalar, resolve_scalar, resolve_scalars

# "desciption" is a slip of "description"; "category" is data of the user's own.
_SLIP = 0.86
_HINTS = 100


def build_elements(records: Iterable[Record], log: ProblemLog) -> tuple[list[Element], list[Record]]:
    """Makes elements of records; what is wrong goes to the log. Returns both lists in step."""
    elements: list[Element] = []
    kept: list[Record] = []
    for record in records:
        element = _build(record, log)
        if element is not None:
            elements.append(element)
            kept.append(record)
    return elements, kept


def refused_tables(records: Iterable[Record], kept: Iterable[Record]) -> frozenset[str]:
    """Returns the names of tables that have problems of their own, so that what names them is not reported as well."""
    good = {id(record) for record in kept}
    bad = (record for record in records if id(record) not in good and record.element_type in ("table", "tables"))
    return frozenset(
        str(record.values[key])
        for record in bad
        for key in ("name", "id")
        if isinstance(record.values, Mapping) and isinstance(record.values.get(key), str)
    )


def _build(record: Record, log: ProblemLog) -> Element | None:
    try:
        kind = element_type(record.element_type)
    except ElementTypeError as error:
        log.problems.append(record.problem(str(error), "element_type"))
        return None
    if not isinstance(record.values, Mapping):
        log.problems.append(record.problem(f"a mapping of keys to values is due (got {type(record.values).__name__})"))
        return None
    if odd := [key for key in record.values if not isinstance(key, str)]:
        log.problems.append(record.problem(f"keys must be text (got {', '.join(map(repr, odd[:5]))})"))
        return None
    before = len(log.problems)
    values = _sort_keys(record, kind.model, log)
    stated = values.setdefault("element_type", kind.name)
    if str(stated) != kind.name:
        message = f"element_type is {stated!r} among elements of type {kind.name!r}"
        log.problems.append(record.problem(message, "element_type"))
        values["element_type"] = kind.name
    try:
        element = kind.model.model_validate(values)
    except pydantic.ValidationError as error:
        found = problems_of(error, source=record.source, line=record.line)
        # An id made of parts that are wrong is not wrong by itself.
        own = [problem for problem in found if problem.field != "id" or "id" in record.values]
        log.problems.extend(own or found)
        return None
    return element if len(log.problems) == before else None


def _sort_keys(record: Record, model: type[Element], log: ProblemLog) -> dict[str, Any]:
    """Leaves out nulls and moves keys that the model does not know to the metadata."""
    known = model.model_fields
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in record.values.items():
        if is_null(value):
            continue
        if key in known:
            values[key] = value
            continue
        if slip := near_miss(key, tuple(known)):
            log.problems.append(record.problem(f"{key!r} is not a known key; was {slip!r} meant?", key))
            if slip not in record.values:
                values[slip] = value  # What was meant is checked with the rest.
            continue
        extra[key] = value
    given = values.get("metadata", {})
    if isinstance(given, Mapping):
        values["metadata"] = _merge_metadata(record, given, extra, log)
    return values


@lru_cache(maxsize=4096)
def near_miss(word: str, known: tuple[str, ...]) -> str | None:
    """Returns the known word that ``word`` is a slip of, if it is one."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=_SLIP)), None)


def _merge_metadata(record: Record, given: Mapping[str, Any], extra: Mapping[str, Any], log: ProblemLog) -> dict[str, Any]:
    """Puts the metadata and the further keys together, each checked at its own line."""
    merged: dict[str, Any] = {}
    places: list[tuple[Path, Any]] = [(("metadata", key), value) for key, value in given.items()]
    places += [((key,), value) for key, value in extra.items()]
    for path, raw in places:
        key = path[-1]
        # Text is due in lists, so a plain scalar keeps its text there.
        value = [_text(item) for item in raw] if isinstance(raw, list | tuple) else resolve_scalars(raw)
        if value is None:
            continue
        if key in merged:
            log.problems.append(
                record.problem(f"{key!r} stands both in metadata and beside it; one of the two would be lost", str(key))
            )
        elif not _is_metadata(value):
            shown = type(value).__name__ if not isinstance(value, list) else "a list of other things"
            message = f"metadata takes text, numbers, true, false and lists of text (got {shown})"
            log.problems.append(record.problem(message, field_path(path), path))
            continue
        merged[str(key)] = value
    return merged


def _text(item: Any) -> Any:
    return str(item) if isinstance(item, PlainScalar) else item


def _is_metadata(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, str | int | float | bool)


def is_null(value: Any) -> bool:
    """Tells whether a raw value stands for nothing: None, or an unquoted ``null``, ``~`` or blank of YAML."""
    return value is None or (isinstance(value, PlainScalar) and resolve_scalar(value) is None)


class TableNames:
    """Finds tables by what fields and other tables call them: an id, or a name, of the own scope where it has one."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self._by_id: dict[str, Table] = {}
        self._by_name: dict[str, list[Table]] = {}
        for table in tables:
            self._by_id.setdefault(table.id, table)
            self._by_name.setdefault(table.name, []).append(table)

    @property
    def names(self) -> tuple[str, ...]:
        """All names and ids, each once."""
        return tuple(dict.fromkeys([*self._by_name, *self._by_id]))

    def find(self, name: str, scope: str) -> tuple[Table, ...]:
        """Returns the tables that an element of the scope means by a name; several only where no scope settles it."""
        if name in self._by_id:
            return (self._by_id[name],)
        found = self._by_name.get(name, [])
        return tuple(table for table in found if table.scope == scope) or tuple(found)


def check_references(
    elements: Sequence[Element], records: Sequence[Record], log: ProblemLog, refused: Container[str] = ()
) -> None:
    """Checks that the table of each field exists and that no table extends itself, directly or by others.

    Args:
        elements: All elements.
        records: The record of each.
        log: Takes the problems.
        refused: Names of tables that are there but have problems of their own; elements may name them.
    """
    tables = TableNames(item for item in elements if isinstance(item, Table))
    reported = len(log.problems)
    for element, record in zip(elements, records, strict=True):
        if isinstance(element, Field):
            if element.table in refused or tables.find(element.table, element.scope):
                continue
            # A search among all names is slow; who misses a hundred tables does not mistype them.
            searched = tables.names if len(log.problems) - reported < _HINTS else ()
            near = difflib.get_close_matches(element.table, searched, n=1)
            hint = f"; was {near[0]!r} meant?" if near else "; add the table to the catalog"
            log.problems.append(record.problem(f"there is no table {element.table!r}{hint}", "table"))
        if isinstance(element, Table) and element.extends:
            _check_lineage(element, tables, record, log, refused)


def _check_lineage(table: Table, tables: TableNames, record: Record, log: ProblemLog, refused: Container[str]) -> None:
    lineage = [table]
    seen = {table.id}
    while extends := lineage[-1].extends:
        found = tables.find(extends, lineage[-1].scope)
        if not found:
            if len(lineage) == 1 and extends not in refused:
                log.problems.append(record.problem(f"there is no table {extends!r} to extend", "extends"))
            return
        parent = found[0]
        if parent is table:
            circle = " -> ".join(item.name for item in [*lineage, table])
            log.problems.append(record.problem(f"tables extend each other in a circle: {circle}", "extends"))
            return
        if parent.id in seen:
            return  # A circle further up; it is reported at its own tables.
        lineage.append(parent)
        seen.add(parent.id)
