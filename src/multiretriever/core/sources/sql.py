"""Tables and fields of a database, from its schema."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from multiretriever.core.errors import MissingDependencyError, ParameterError
from multiretriever.core.records import ProblemLog, Record
from multiretriever.core.sources.sql_urls import masked, sqlite_fault, without_secrets

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine


class SqlSource:
    """The tables, views and columns of a database, read through SQLAlchemy. Nothing is written, and no row is read.

    Args:
        url_or_engine: A database URL (``postgresql+psycopg://user@host/name``), an engine, or the path of an SQLite file.
        scope: Scope of all elements; by default the name of the database.
        schemas: Schemas to read; by default the one that the database takes as default. Where they are given, the scope of an
            element is ``scope.schema``.
        exclude: Patterns (``alembic_*``) of tables and views that are left out.

    Raises:
        MissingDependencyError: SQLAlchemy is not installed.
        ParameterError: ``url_or_engine`` is none of these.
    """

    def __init__(
        self,
        url_or_engine: str | Path | URL | Engine,
        *,
        scope: str | None = None,
        schemas: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        try:
            import sqlalchemy
        except ImportError as error:
            raise MissingDependencyError('reading a database needs SQLAlchemy: pip install "multiretriever[sql]"') from error
        if not isinstance(url_or_engine, str | Path | sqlalchemy.URL | sqlalchemy.Engine):
            raise ParameterError(f"a database URL, an engine or a path is due (got {type(url_or_engine).__name__})")
        for name, value in (("schemas", schemas), ("exclude", exclude)):
            if isinstance(value, str):
                raise ParameterError(f"{name} is a list (got {value!r}); write [{value!r}]")
        self._database = url_or_engine
        self._scope = scope
        self._schemas: tuple[str | None, ...] = tuple(schemas) if schemas else (None,)
        self._exclude = tuple(exclude)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives a record for every table, view and column, by name; a database that cannot be read goes to the log."""
        engine = self._open(log)
        return [] if engine is None else self._read(engine, log)

    def _read(self, engine: Engine, log: ProblemLog) -> list[Record]:
        from sqlalchemy import inspect

        from multiretriever.core.sources.sql_schema import SchemaReader

        records: list[Record] = []
        try:
            with engine.connect() as connection:
                inspector = inspect(connection)
                for schema in self._schemas:
                    reader = SchemaReader(inspector, schema, self._scope_of(engine, schema), str(self), self._leaves_out)
                    records += reader.records(log)
        except Exception as error:  # Drivers raise what they like, beside the errors that SQLAlchemy wraps.
            log.add(f"the database cannot be read: {without_secrets(error, engine.url)}", str(self))
            return []
        finally:
            if engine is not self._database:
                engine.dispose()
        if not records and not log.problems:
            log.add("the database has no table and no view", str(self))
        return records

    def _open(self, log: ProblemLog) -> Engine | None:
        """Returns the engine, or None where the log says why there is none."""
        from sqlalchemy import Engine, create_engine
        from sqlalchemy.exc import NoSuchModuleError

        if isinstance(self._database, Engine):
            return self._database
        url = self._url()
        if url is None:
            log.add("this is no database URL; its form is dialect+driver://user:password@host:port/database", str(self))
            return None
        if url.get_backend_name() == "sqlite" and (fault := sqlite_fault(url)):
            log.add(fault, str(self))
            return None
        try:
            engine = create_engine(url)
        except ImportError as error:
            log.add(f"the driver for this database is not installed: {error}", str(self))
        except NoSuchModuleError:
            log.add(f"{url.drivername!r} is no database that is known; is its SQLAlchemy dialect installed?", str(self))
        except Exception as error:  # What a dialect makes of a URL is its own affair.
            log.add(f"the database cannot be opened: {without_secrets(error, url)}", str(self))
        else:
            if not engine.dialect.is_async:
                return engine
            log.add(f"the driver {url.drivername!r} is asynchronous; name a synchronous one", str(self))
        return None

    def _url(self) -> URL | None:
        from sqlalchemy import URL, Engine, make_url
        from sqlalchemy.exc import ArgumentError

        if isinstance(self._database, Engine):
            return self._database.url
        if isinstance(self._database, Path) or "://" not in str(self._database):
            return URL.create("sqlite", database=str(self._database))
        try:
            return make_url(self._database)
        except (ArgumentError, ValueError):
            return None

    def _scope_of(self, engine: Engine, schema: str | None) -> str:
        scope = self._scope
        if scope is None:
            database = engine.url.database or ""
            is_file = engine.dialect.name == "sqlite"
            scope = (Path(database).stem if is_file else database).strip(":") or engine.dialect.name
        return scope if schema is None else ".".join(filter(None, (scope, schema)))

    def _leaves_out(self, table: str) -> bool:
        return any(fnmatchcase(table, pattern) for pattern in self._exclude)

    def __str__(self) -> str:
        url = self._url()
        if isinstance(self._database, Path) or (isinstance(self._database, str) and "://" not in self._database):
            return str(self._database)
        return masked(url if url is not None else str(self._database))
