"""A SQLite database made from a catalog, on which generated queries are run: read-only, and within bounds.

Its rows are invented: plausible, always the same for the same seed, with references that lead to rows that exist.
"""

from __future__ import annotations

import random
import re
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from time import monotonic
from typing import Any

from typing_extensions import Self

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Field
from multiretriever.core.errors import MultiRetrieverError, ParameterError
from multiretriever.grounding.sql_check import FUNCTIONS
from multiretriever.grounding.sql_schema import Column, Relation, RelationalSchema

MAX_ROWS = 100
MAX_SECONDS = 2.0
ROWS_PER_TABLE = 30
SEED = 7
_REFUSALS = ("not authorized", "denied", "prohibited", "one statement at a time", "readonly")
_STEPS = 2_000  # of SQLite's machine between two looks at the clock
# SQLite's own bounds; Python hands them through from 3.11 on.
_LIMITS = {"SQLITE_LIMIT_LENGTH": 1_000_000, "SQLITE_LIMIT_LIKE_PATTERN_LENGTH": 200, "SQLITE_LIMIT_ATTACHED": 0}

Value = str | int | float | None
_FIRST = ("Amara", "Bruno", "Chloe", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Keiko", "Luca")
_LAST = ("Abara", "Berg", "Castro", "Dubois", "Eriksen", "Fontaine", "Garcia", "Haddad", "Ito", "Jansen", "Kowalski", "Lind")
_THINGS = ("Printer", "Payroll run", "Network drive", "Badge reader", "Video call", "Order form", "Data sync", "Mail queue")
_STATES = ("is slow", "does not start", "needs a check", "was replaced", "asks for access", "has a wrong date", "is to be moved")
_DONE = re.compile(r"clos|complet|cancel|resolv|done|reject|retir|inactive|finish")
_BEGINS = re.compile(r"open|creat|start|begin|report|order|install|received|planned|hired|purchas")
_AHEAD = re.compile(r"due|expir|end|until|next|renew|valid|deadline")
_HISTORY, _FUTURE = 240, 120  # days


class SqlRunError(MultiRetrieverError):
    """A query could not be run; the message holds what the database says."""


class SqlRefusedError(SqlRunError):
    """A query does more than read the tables of the database."""


class SqlLimitError(SqlRunError):
    """A query was interrupted, since it ran for too long."""


@dataclass(frozen=True)
class Rows:
    """The result of a query.

    Attributes:
        columns: Names of the columns.
        rows: Values, row by row.
        more: Whether there were more rows than were asked for.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool = False

    @property
    def records(self) -> list[dict[str, Any]]:
        """Each row as a mapping."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_markdown(self) -> str:
        """Returns the rows as a table in Markdown, its columns aligned."""
        lines = [list(self.columns), *(["" if value is None else _cell(value) for value in row] for row in self.rows)]
        widths = [max(3, *(len(line[place]) for line in lines)) for place in range(len(self.columns))]
        lines.insert(1, ["-" * width for width in widths])
        text = (" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join(f"| {line} |" for line in text)


class SampleDatabase:
    """A database with the tables of a catalog. Safe to share between threads; close it, or use it as a context manager.

    A table has the columns of its own fields and of those that it inherits. A row of a table is in the tables that this one
    extends as well, under the same key: an incident is a task. References hold the key of the row that they lead to.
    """

    def __init__(self, connection: sqlite3.Connection, tables: Iterable[str]) -> None:
        """Takes over a connection, which must be of use in any thread, and lets it only read the tables that are named."""
        self._connection = connection
        self._tables = {name.lower() for name in tables}
        self._lock = threading.Lock()
        self._deadline = 0.0
        self._late = False
        connection.execute("PRAGMA query_only = ON")
        for name, value in _LIMITS.items():
            if hasattr(connection, "setlimit") and hasattr(sqlite3, name):
                connection.setlimit(getattr(sqlite3, name), value)
        connection.set_authorizer(self._allows)
        connection.set_progress_handler(self._overdue, _STEPS)

    @classmethod
    def from_catalog(
        cls,
        catalog: Catalog | RelationalSchema,
        *,
        rows: int = ROWS_PER_TABLE,
        seed: int = SEED,
        today: date | None = None,
    ) -> Self:
        """Makes a database in memory and fills it with invented rows.

        Args:
            catalog: The catalog, or the schema made of one.
            rows: Rows of each table; 0 for empty tables.
            seed: Whole number that decides all values.
            today: Day that all dates are counted from; None for the present one.

        Raises:
            ParameterError: ``rows`` is negative, or above 10,000.
            SqlRunError: SQLite cannot hold the tables (more than 2,000 columns).
        """
        if not 0 <= rows <= 10_000:
            raise ParameterError(f"expected rows from 0 to 10,000, got {rows}")
        schema = catalog if isinstance(catalog, RelationalSchema) else RelationalSchema(catalog)
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            for relation in schema:
                connection.execute(_create(relation))
            _fill(connection, schema, rows, _SampleRows(seed, today or date.today()))
            connection.commit()
        except sqlite3.Error as error:
            connection.close()
            raise SqlRunError(f"the tables of the catalog cannot be made in SQLite: {error}") from error
        return cls(connection, schema.names)

    def run(
        self,
        sql: str,
        values: Sequence[Any] = (),
        *,
        max_rows: int = MAX_ROWS,
        max_seconds: float = MAX_SECONDS,
    ) -> Rows:
        """Runs a query.

        Args:
            sql: The query, in SQLite's dialect.
            values: Values of its placeholders.
            max_rows: Rows at most; what is left is not read.
            max_seconds: Seconds at most.

        Raises:
            SqlRefusedError: It does more than read the tables.
            SqlLimitError: It took longer.
            SqlRunError: SQLite finds fault with it.
        """
        with self._lock:
            self._deadline, self._late = monotonic() + max_seconds, False
            try:
                cursor = self._connection.execute(sql, tuple(values))
                found = cursor.fetchmany(max_rows + 1)
                columns = tuple(item[0] for item in cursor.description or ())
                cursor.close()
            except (sqlite3.Error, sqlite3.Warning, UnicodeError, OverflowError, ValueError) as error:
                raise self._failed(error, max_seconds) from error
        if not columns:
            raise SqlRefusedError("this is no query: it returns no columns")
        return Rows(columns, tuple(tuple(row) for row in found[:max_rows]), len(found) > max_rows)

    def explain(self, sql: str) -> None:
        """Lets SQLite plan a query without running it. Raises what ``run`` raises."""
        self.run(f"EXPLAIN {sql}")

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def _allows(self, action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
        allowed = (
            action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE)
            or (action == sqlite3.SQLITE_READ and (first or "").lower() in self._tables)
            or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in FUNCTIONS)
        )
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    def _overdue(self) -> int:
        self._late = monotonic() > self._deadline
        return int(self._late)

    def _failed(self, error: Exception, seconds: float) -> SqlRunError:
        if self._late:
            return SqlLimitError(f"the query was interrupted after {seconds:g} seconds")
        if any(words in str(error) for words in _REFUSALS):
            return SqlRefusedError(f"only one query is run, and it may only read the tables: {error}")
        return SqlRunError(f"the database says: {error}")


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def quoted(name: str) -> str:
    """Returns a name as SQLite reads it whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _create(relation: Relation) -> str:
    columns = [
        f"{quoted(item.name)} INTEGER PRIMARY KEY" if item.name == relation.key else f"{quoted(item.name)} {_affinity(item)}"
        for item in relation.columns
    ]
    return f"CREATE TABLE {quoted(relation.name)} ({', '.join(columns)})"


def _fill(connection: sqlite3.Connection, schema: RelationalSchema, rows: int, maker: _SampleRows) -> None:
    """Keys are handed out first, so that a row can refer to any other; they differ between all tables of the database."""
    own: dict[str, range] = {}
    for place, relation in enumerate(schema):
        own[relation.name] = range(place * rows + 1, (place + 1) * rows + 1)
    keys: dict[str, list[int]] = {name: list(numbers) for name, numbers in own.items()}
    for relation in schema:
        for ancestor in schema.ancestors(relation):
            keys[ancestor.name] += own[relation.name]
    for relation in schema:
        tables = (relation, *schema.ancestors(relation))
        made = [maker.row(relation, key, keys) for key in own[relation.name]]
        for table in tables:
            _insert(connection, table, [{**row, table.key: key} for key, row in zip(own[relation.name], made, strict=True)])


def _insert(connection: sqlite3.Connection, relation: Relation, rows: Iterable[Mapping[str, Any]]) -> None:
    columns = ", ".join(quoted(name) for name in relation.names)
    marks = ", ".join("?" for _ in relation.names)
    values = ([row.get(name) for name in relation.names] for row in rows)
    connection.executemany(f"INSERT INTO {quoted(relation.name)} ({columns}) VALUES ({marks})", values)


class _SampleRows:
    """Makes rows."""

    def __init__(self, seed: int, today: date) -> None:
        """Makes a maker of rows.

        Args:
            seed: Whole number that decides all values.
            today: Day that all dates are counted from.
        """
        self._seed = seed
        self._today = datetime.combine(today, time(9))

    def row(self, relation: Relation, key: int, keys: Mapping[str, Sequence[int]]) -> dict[str, Value]:
        """Makes a row.

        Args:
            relation: Its table.
            key: Its key.
            keys: Keys of the rows of every table, for references.

        Returns:
            Values by the names of the columns.
        """
        rng = random.Random(f"{self._seed}\0{relation.name}\0{key}")
        begun = self._today - timedelta(days=rng.randrange(1, _HISTORY), minutes=rng.randrange(0, 480))
        row: dict[str, Value] = {}
        for column in relation.columns:
            if column.name == relation.key:
                row[column.name] = key
            elif column.references is not None:
                row[column.name] = _reference(rng, keys.get(column.references, ()))
            elif column.field is not None:
                row[column.name] = self._value(rng, column.field, relation, key, begun)
        _agree(row, relation)
        return row

    def _value(self, rng: random.Random, field: Field, relation: Relation, key: int, begun: datetime) -> Value:
        kind = _affinity(Column(field.name, field))
        if field.choices:
            return rng.choice(field.choices)
        if "bool" in field.data_type.lower():
            return int(rng.random() < 0.5)
        if _is_date(field):
            moment = self._moment(rng, field, begun)
            day = field.data_type.lower() == "date"
            return moment.strftime("%Y-%m-%d" if day else "%Y-%m-%d %H:%M:%S") if moment else None
        if kind == "INTEGER":
            return rng.randrange(0, 60)
        if kind == "REAL":
            return round(rng.uniform(1, 5_000), 2)
        return _text(rng, field, relation, key)

    def _moment(self, rng: random.Random, field: Field, begun: datetime) -> datetime | None:
        name = field.name.lower()
        if _BEGINS.search(name):
            return begun
        if _AHEAD.search(name):
            return begun + timedelta(days=rng.randrange(1, _HISTORY // 2 + _FUTURE))
        later = begun + timedelta(hours=rng.randrange(1, 24 * 40))
        return later if later <= self._today else None


def _affinity(column: Column) -> str:
    """Returns the type of a column in SQLite: ``INTEGER``, ``REAL`` or ``TEXT``."""
    kind = column.field.data_type.lower() if column.field else "integer"
    if column.references is not None or re.search(r"bool|duration|(?<!po)int", kind):
        return "INTEGER"
    return "REAL" if re.search(r"decimal|float|double|real|numeric|currency|number|money|percent", kind) else "TEXT"


def _is_date(field: Field) -> bool:
    """Tells whether a field holds days or moments."""
    return bool(re.search(r"date|timestamp", field.data_type.lower()))


def _reference(rng: random.Random, keys: Sequence[int]) -> int | None:
    return rng.choice(keys) if keys and rng.random() < 0.75 else None


def _text(rng: random.Random, field: Field, relation: Relation, key: int) -> str:
    name, kind = field.name.lower(), field.data_type.lower()
    if kind == "json":
        return "{}"
    if kind == "url" or name.endswith("url"):
        return f"https://example.com/{relation.name}/{key}"
    if kind == "email" or "email" in name:
        return f"person{key}@example.com"
    for part, choices in (("first_name", _FIRST), ("last_name", _LAST)):
        if part in name:
            return rng.choice(choices)
    if name == "number" or name.endswith("_number"):
        words = [word for word in relation.name.split("_") if word]
        prefix = ("".join(word[0] for word in words) if len(words) > 1 else relation.name[:3]).upper()
        return f"{prefix}{key:07d}"
    if kind in ("text", "journal") or "description" in name or "notes" in name:
        return f"{rng.choice(_THINGS)} {rng.choice(_STATES)}"
    return f"{relation.table.title} {field.title.lower()} {key}" if "name" not in name else f"{relation.table.title} {key}"


def _agree(row: dict[str, Value], relation: Relation) -> None:
    """Lets a row not contradict itself: what is done is not active, and what is not done was not closed."""
    state = row.get("state", row.get("status"))
    if not isinstance(state, str):
        return
    done = bool(_DONE.search(state))
    if row.get("active") is not None:
        row["active"] = int(not done)
    for column in relation.columns:
        if not done and column.name.startswith(("closed", "resolved", "close_")):
            row[column.name] = None
