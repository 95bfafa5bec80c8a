"""All elements of one installation, checked: every problem of the raw records is collected, with its file, line and field."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pydantic

from multiretriever.core.elements import Element, Field, Table, element_type
from multiretriever.core.errors import CatalogError, ElementTypeError
from multiretriever.core.records import ProblemLog, Record, Source, near_miss
from multiretriever.core.yaml_io import PlainScalar, ValuePath, is_null, resolve_scalars

_HINTS = 100
# Not importlib.resources: the namespace has several roots in a development install, and only the one of this file has data.
IT_SERVICE = Path(__file__).resolve().parents[1] / "data" / "it_service"
"""Folder of the bundled catalog."""


class Catalog:
    """The elements of one installation, by type and id. Immutable.

    Iteration and ``of`` keep the order of the source.
    """

    def __init__(self, elements: Iterable[Element] = ()) -> None:
        """Makes a catalog of elements.

        Raises:
            CatalogError: An id appears twice in a type, a field names an unknown table, or tables extend each other in a circle.
        """
        items = list(elements)
        self._fill(items, [Record(item.element_type, {}, f"element {item.id!r}") for item in items], ProblemLog())

    def _fill(self, items: list[Element], records: list[Record], log: ProblemLog, refused: frozenset[str] = frozenset()) -> None:
        self._by_type: dict[str, dict[str, Element]] = {}
        first: dict[tuple[str, str], Record] = {}
        for item, record in zip(items, records, strict=True):
            before = first.setdefault((item.element_type, item.id), record)
            if before is not record:
                message = f"the {item.element_type} id {item.id!r} appears twice; ids must be unique (first: {before.place})"
                log.problems.append(record.problem(message, "id"))
            self._by_type.setdefault(item.element_type, {}).setdefault(item.id, item)
        self._tables = TableNames(item for item in items if isinstance(item, Table))
        check_references(items, records, self._tables, log, refused)
        if log.problems:
            raise CatalogError(log.in_order())
        self._name_tables()
        self._name_fields()

    def _name_tables(self) -> None:
        """Writes the names of tables where fields and other tables give their ids, so that filters need to know names alone."""
        for kind, attribute in (("field", "table"), ("table", "extends")):
            elements = self._by_type.get(kind, {})
            for item in elements.values():
                given = getattr(item, attribute)
                found = self._tables.find(given, item.scope) if given else ()
                if found and found[0].name != given:
                    elements[item.id] = item.model_copy(update={attribute: found[0].name})

    def _name_fields(self) -> None:
        """Tells each table the titles of its fields, which say much of what it is about."""
        titles: dict[str, list[str]] = {}
        fields: Iterable[Any] = self._by_type.get("field", {}).values()
        for field in fields:
            for owner in self._tables.find(field.table, field.scope):
                titles.setdefault(owner.id, []).append(field.title)
        tables = self._by_type.get("table", {})
        for table_id, names in titles.items():
            table: Element = tables[table_id]
            if isinstance(table, Table) and not table.fields:
                tables[table_id] = table.model_copy(update={"fields": tuple(names)})

    @classmethod
    def from_records(cls, records: Iterable[Record], log: ProblemLog | None = None) -> Catalog:
        """Checks raw records and makes a catalog of them.

        Args:
            records: What sources yielded.
            log: Problems met so far; they are reported with those found here.

        Raises:
            CatalogError: Anything is wrong; the error lists every problem, and nothing is loaded.
        """
        log = log or ProblemLog()
        records = list(records)
        items, kept = build_elements(records, log)
        catalog = cls.__new__(cls)
        catalog._fill(items, kept, log, refused_tables(records, kept))
        return catalog

    @classmethod
    def from_source(cls, *sources: Source) -> Catalog:
        """Reads one or several sources into one catalog.

        Raises:
            CatalogError: Anything is wrong in any source, or all of them together hold no element.
        """
        log = ProblemLog()
        records = [record for source in sources for record in source.read(log)]
        if not records and not log.problems:
            log.add("no element was found", ", ".join(str(source) for source in sources) or "no source")
        return cls.from_records(records, log)

    @classmethod
    def from_path(cls, *paths: str | Path) -> Catalog:
        """Reads files, folders and database URLs; the kind of each is recognised by what is in it (see ``sources.source_of``).

        Raises:
            CatalogError: Anything is wrong in any file; the error lists every problem, and nothing is loaded.
        """
        from multiretriever.core.sources import source_of

        return cls.from_source(*(source_of(path) for path in paths))

    @property
    def types(self) -> tuple[str, ...]:
        """Names of the element types that it has elements of."""
        return tuple(self._by_type)

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of elements by type."""
        return {name: len(elements) for name, elements in self._by_type.items()}

    @property
    def scopes(self) -> Counter[str]:
        """Number of elements by scope."""
        return Counter(element.scope for element in self)

    @cached_property
    def _lists(self) -> dict[str, tuple[Any, ...]]:
        return {name: tuple(elements.values()) for name, elements in self._by_type.items()}

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        found: dict[tuple[str, str], list[Element]] = defaultdict(list)
        for element in self:
            found[element.element_type, element.name].append(element)
        return {key: tuple(elements) for key, elements in found.items()}

    @cached_property
    def _own_fields(self) -> dict[str, tuple[Field, ...]]:
        """The fields that each table declares, by its id."""
        found: dict[str, list[Field]] = defaultdict(list)
        for field in self.of("field"):
            for owner in self._tables.find(field.table, field.scope):
                found[owner.id].append(field)
        return {name: tuple(fields) for name, fields in found.items()}

    def of(self, element_type: str) -> tuple[Any, ...]:
        """Returns the elements of a type."""
        return self._lists.get(element_type, ())

    def get(self, element_type: str, element_id: str) -> Any:
        """Returns an element, or None where there is none."""
        return self._by_type.get(element_type, {}).get(element_id)

    def find(self, element_type: str, name: str) -> tuple[Any, ...]:
        """Returns the elements of a type whose id or, failing that, whose name is ``name``."""
        exact = self.get(element_type, name)
        return (exact,) if exact is not None else self._by_name.get((element_type, name), ())

    def fields_of(self, table: Table) -> tuple[Field, ...]:
        """Returns the fields of a table, own ones first, then those of the tables that it extends."""
        fields: list[Field] = []
        current: Table | None = table
        while current is not None:
            fields += self._own_fields.get(current.id, ())
            found = self._tables.find(current.extends, current.scope) if current.extends else ()
            current = found[0] if found else None
        return tuple(fields)

    def __iter__(self) -> Iterator[Element]:
        return (element for elements in self._by_type.values() for element in elements.values())

    def __len__(self) -> int:
        return sum(len(elements) for elements in self._by_type.values())

    def __repr__(self) -> str:
        return f"Catalog({', '.join(f'{name}={count}' for name, count in self.counts.items())})"


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
        log.problems.append(record.problem(f"expected a mapping of keys to values, got {type(record.values).__name__}"))
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
        found = record.problems(error)
        # An id made of parts that are wrong is not wrong by itself.
        own = [problem for problem in found if "id" in record.values or problem.field != record.field(("id",))]
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


def _merge_metadata(record: Record, given: Mapping[str, Any], extra: Mapping[str, Any], log: ProblemLog) -> dict[str, Any]:
    """Puts the metadata and the further keys together, each checked at its own line."""
    merged: dict[str, Any] = {}
    places: list[tuple[ValuePath, Any]] = [(("metadata", key), value) for key, value in given.items()]
    places += [((key,), value) for key, value in extra.items()]
    for path, raw in places:
        key = path[-1]
        # Lists hold text, so a plain scalar keeps its text there.
        value = [_text(item) for item in raw] if isinstance(raw, list | tuple) else resolve_scalars(raw)
        if value is None:
            continue
        if key in merged:
            log.problems.append(
                record.problem(f"{key!r} appears both in metadata and beside it; one of the two would be lost", str(key))
            )
        elif not _is_metadata(value):
            shown = type(value).__name__ if not isinstance(value, list) else "a list of other things"
            message = f"metadata takes text, numbers, true, false and lists of text (got {shown})"
            log.problems.append(record.problem(message, *path))
            continue
        merged[str(key)] = value
    return merged


def _text(item: Any) -> Any:
    return str(item) if isinstance(item, PlainScalar) else item


def _is_metadata(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, str | int | float | bool)


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
    elements: Sequence[Element],
    records: Sequence[Record],
    tables: TableNames,
    log: ProblemLog,
    refused: Container[str] = (),
) -> None:
    """Checks that the table of each field exists and that no table extends itself, directly or by others.

    Args:
        elements: All elements.
        records: The record of each.
        tables: The tables among them.
        log: Takes the problems.
        refused: Names of tables that are there but have problems of their own; elements may name them.
    """
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
