"""All elements of one installation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from multiretriever.core.elements import Element, Field, Table
from multiretriever.core.errors import CatalogError
from multiretriever.core.records import ProblemLog, Record, Source
from multiretriever.core.validation import TableNames, build_elements, check_references, refused_tables


class Catalog:
    """The elements of one installation, by type and id. Immutable.

    Iteration and ``of`` keep the order of the source.
    """

    def __init__(self, elements: Iterable[Element] = ()) -> None:
        """Makes a catalog of elements.

        Raises:
            CatalogError: An id stands twice in a type, a field names an unknown table, or tables extend each other in a circle.
        """
        items = list(elements)
        self._fill(items, [Record(item.element_type, {}, f"element {item.id!r}") for item in items], ProblemLog())

    def _fill(self, items: list[Element], records: list[Record], log: ProblemLog, refused: frozenset[str] = frozenset()) -> None:
        self._by_type: dict[str, dict[str, Element]] = {}
        first: dict[tuple[str, str], Record] = {}
        for item, record in zip(items, records, strict=True):
            before = first.setdefault((item.element_type, item.id), record)
            if before is not record:
                message = f"the {item.element_type} id {item.id!r} stands twice; ids must be unique (first: {before.place})"
                log.problems.append(record.problem(message, "id"))
            self._by_type.setdefault(item.element_type, {}).setdefault(item.id, item)
        self._tables = TableNames(self.of("table"))
        check_references(items, records, log, refused)
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
        for field in self.of("field"):
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
            records: What sources gave.
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
        """Reads files, folders and database URLs; the kind of each is told by what is in it (see ``sources.source_of``).

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

    def of(self, element_type: str) -> tuple[Any, ...]:
        """Returns the elements of a type."""
        return tuple(self._by_type.get(element_type, {}).values())

    def get(self, element_type: str, element_id: str) -> Any:
        """Returns an element, or None where there is none."""
        return self._by_type.get(element_type, {}).get(element_id)

    def find(self, element_type: str, name: str) -> tuple[Any, ...]:
        """Returns the elements of a type whose id or, failing that, whose name is ``name``."""
        exact = self.get(element_type, name)
        return (exact,) if exact is not None else tuple(item for item in self.of(element_type) if item.name == name)

    def fields_of(self, table: Table) -> tuple[Field, ...]:
        """Returns the fields of a table, own ones first, then those of the tables that it extends."""
        lineage: list[Table] = []
        current: Table | None = table
        while current is not None:
            lineage.append(current)
            found = self._tables.find(current.extends, current.scope) if current.extends else ()
            current = found[0] if found else None
        return tuple(field for item in lineage for field in self.of("field") if self._belongs(field, item))

    def _belongs(self, field: Field, table: Table) -> bool:
        if field.table not in (table.name, table.id):
            return False
        return any(item.id == table.id for item in self._tables.find(field.table, field.scope))

    def __iter__(self) -> Iterator[Element]:
        return (element for elements in self._by_type.values() for element in elements.values())

    def __len__(self) -> int:
        return sum(len(elements) for elements in self._by_type.values())

    def __repr__(self) -> str:
        return f"Catalog({', '.join(f'{name}={count}' for name, count in self.counts.items())})"
