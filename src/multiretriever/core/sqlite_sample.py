"""A SQLite database made from a catalog, on which generated queries are run: read-only, and within bounds."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from typing_extensions import Self

from multiretriever.core.catalog import Catalog
from multiretriever.core.errors import MultiRetrieverError, ParameterError
from multiretriever.core.sample_rows import SampleRows, affinity
from multiretriever.grounding.sql_check import FUNCTIONS
from multiretriever.grounding.sql_schema import Relation, RelationalSchema

MAX_ROWS = 100
MAX_SECONDS = 2.0
ROWS_PER_TABLE = 30
SEED = 7
_REFUSALS = ("not authorized", "denied", "prohibited", "one statement at a time", "readonly")
_STEPS = 2_000  # of SQLite's machine between two looks at the clock
# SQLite's own bounds; Python hands them through from 3.11 on.
_LIMITS = {"SQLITE_LIMIT_LENGTH": 1_000_000, "SQLITE_LIMIT_LIKE_PATTERN_LENGTH": 200, "SQLITE_LIMIT_ATTACHED": 0}


class SqlRunError(MultiRetrieverError):
    """A query could not be run; the message holds what the database says."""


class SqlRefusedError(SqlRunError):
    """A query does more than read the tables of the database."""


class SqlLimitError(SqlRunError):
    """A query was interrupted, since it ran for too long."""


@dataclass(frozen=True)
class Rows:
    """What a query gave.

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

    A table has the columns of its own fields and of those that it inherits. A row of a table stands in the tables that this one
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
        """Makes a database in memory and fills it with made-up rows.

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
            raise ParameterError(f"rows is a number from 0 to 10,000 (got {rows})")
        schema = catalog if isinstance(catalog, RelationalSchema) else RelationalSchema(catalog)
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            for relation in schema:
                connection.execute(_create(relation))
            _fill(connection, schema, rows, SampleRows(seed, today or date.today()))
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
            self._deadline, self._late = time.monotonic() + max_seconds, False
            try:
                cursor = self._connection.execute(sql, tuple(values))
                found = cursor.fetchmany(max_rows + 1)
                columns = tuple(item[0] for item in cursor.description or ())
                cursor.close()
            except (sqlite3.Error, sqlite3.Warning, UnicodeError, OverflowError, ValueError) as error:
                raise self._failed(error, max_seconds) from error
        if not columns:
            raise SqlRefusedError("this is no query: it gives no columns")
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
        self._late = time.monotonic() > self._deadline
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
        f"{quoted(item.name)} INTEGER PRIMARY KEY" if item.name == relation.key else f"{quoted(item.name)} {affinity(item)}"
        for item in relation.columns
    ]
    return f"CREATE TABLE {quoted(relation.name)} ({', '.join(columns)})"


def _fill(connection: sqlite3.Connection, schema: RelationalSchema, rows: int, maker: SampleRows) -> None:
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
