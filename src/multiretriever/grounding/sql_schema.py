"""The tables of a catalog as a relational schema: what they and their columns are called, and how rows refer to each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Field, Table

_ADDED_KEYS = ("id", "row_id", "_row_id")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: What it is called in a query.
        field: The field; None for a key that the catalog does not have.
        references: Name of the table whose keys it holds; None when it is no reference.
        target_key: Name of the key there.
    """

    name: str
    field: Field | None = None
    references: str | None = None
    target_key: str = ""


@dataclass(frozen=True)
class Relation:
    """A table with all its columns, those of the tables that it extends included.

    Attributes:
        name: What it is called in a query: its name; where several tables have that name, with the scope before it.
        table: The table.
        columns: Its columns, own ones first.
        key: Name of the column that references to it hold. Where no field is one, it is a column ``id`` beside the fields.
    """

    name: str
    table: Table
    columns: tuple[Column, ...]
    key: str

    def column(self, name: str) -> Column | None:
        """Returns a column by its name, in capitals or not, as SQL has it; None where there is none."""
        return next((item for item in self.columns if item.name.lower() == name.lower()), None)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns."""
        return tuple(item.name for item in self.columns)


class RelationalSchema:
    """The tables of a catalog, each under one name. Columns are put together when a table is first asked for."""

    def __init__(self, catalog: Catalog) -> None:
        """Makes the schema of a catalog."""
        self._catalog = catalog
        self._tables: dict[str, tuple[str, Table]] = {}
        self._relations: dict[str, Relation] = {}
        self._keys: dict[str, str] = {}
        self._name_tables()
        self._names = {table.id: name for name, table in self._tables.values()}

    def _name_tables(self) -> None:
        tables: tuple[Table, ...] = self._catalog.of("table")
        plain = [table.name.lower() for table in tables]
        for table, name in zip(tables, plain, strict=True):
            clear = plain.count(name) == 1 and not name.startswith("sqlite_")  # SQLite keeps such names to itself
            for chosen in (table.name if clear else f"{table.scope}_{table.name}", f"table_{table.id}"):
                if chosen.lower() not in self._tables:
                    self._tables[chosen.lower()] = (chosen, table)
                    break

    def get(self, name: str) -> Relation | None:
        """Returns a table by its name, in capitals or not; None where there is none."""
        found = self._tables.get(name.lower())
        if found is None:
            return None
        if name.lower() not in self._relations:
            self._relations[name.lower()] = self._relation(*found)
        return self._relations[name.lower()]

    def of(self, table: Table) -> Relation:
        """Returns what a table of the catalog is here."""
        relation = self.get(self._names[table.id])
        assert relation is not None, f"{table.id} was named when the schema was made"
        return relation

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all tables."""
        return tuple(name for name, _ in self._tables.values())

    def __iter__(self) -> Iterator[Relation]:
        return (self.of(table) for _, table in self._tables.values())

    def ancestors(self, relation: Relation) -> tuple[Relation, ...]:
        """Returns the tables that a table extends, nearest first."""
        found: list[Relation] = []
        current: Table | None = relation.table
        while current is not None and current.extends:
            current = self._named(current.extends, current.scope)
            if current is not None:
                found.append(self.of(current))
        return tuple(found)

    def _relation(self, name: str, table: Table) -> Relation:
        columns: dict[str, Column] = {}
        for field in self._catalog.fields_of(table):
            target = self._named(field.reference, field.scope) if field.reference else None
            column = Column(field.name, field, self._names[target.id], self._key(target)) if target else Column(field.name, field)
            columns.setdefault(field.name.lower(), column)
        key = self._key(table)
        columns.setdefault(key.lower(), Column(key))
        return Relation(name, table, tuple(columns.values()), key)

    def _key(self, table: Table) -> str:
        """Returns the column that identifies rows: the primary key that the source declares, or one that is named as keys are."""
        if table.id not in self._keys:
            fields = self._catalog.fields_of(table)
            marked = [item.name for item in fields if item.metadata.get("primary_key") is True]
            own = {item.name.lower(): item.name for item in fields if not item.reference}
            usual = ("id", "sys_id", f"{table.name.lower()}_id", f"{table.name.lower()}id")
            named = next((own[item] for item in usual if item in own), None)
            taken = {item.name.lower() for item in fields}
            added = next(item for item in _ADDED_KEYS if item not in taken)
            self._keys[table.id] = marked[0] if len(marked) == 1 else named or added
        return self._keys[table.id]

    def _named(self, name: str, scope: str) -> Table | None:
        found: tuple[Table, ...] = self._catalog.find("table", name)
        return next((item for item in found if item.scope == scope), found[0] if found else None)
