"""Tables and fields of a database, from its schema, through SQLAlchemy.

A URL is shown without its secrets, and an SQLite file is looked at before it is connected to, which would create it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote

from multiretriever.core.errors import MissingDependencyError, ParameterError
from multiretriever.core.names import split_words
from multiretriever.core.records import ProblemLog, Record

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine, Inspector

NO_SQLITE = "the file is no SQLite database"
SQLITE_MAGIC = b"SQLite format 3\0"
_SECRET_KEY = re.compile(r"pass|pwd|secret|token|key", re.IGNORECASE)
_SECRET_OPTION = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)


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
            raise ParameterError(f"expected a database URL, an engine or a path, got {type(url_or_engine).__name__}")
        for name, value in (("schemas", schemas), ("exclude", exclude)):
            if isinstance(value, str):
                raise ParameterError(f"{name}: expected a list, got {value!r}; write [{value!r}]")
        self._database = url_or_engine
        self._scope = scope
        self._schemas: tuple[str | None, ...] = tuple(schemas) if schemas else (None,)
        self._exclude = tuple(exclude)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Yields a record for every table, view and column, by name; a database that cannot be read goes to the log."""
        engine = self._open(log)
        return [] if engine is None else self._read(engine, log)

    def _read(self, engine: Engine, log: ProblemLog) -> list[Record]:
        from sqlalchemy import inspect

        records: list[Record] = []
        try:
            with engine.connect() as connection:
                inspector = inspect(connection)
                for schema in self._schemas:
                    reader = _SchemaReader(inspector, schema, self._scope_of(engine, schema), str(self), self._leaves_out)
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


class _SchemaReader:
    """Reads the tables, views and columns of one schema.

    Args:
        inspector: What answers questions about the database.
        schema: The schema; None for the default one.
        scope: Scope of its elements.
        source: How the database is named in problems.
        leaves_out: Tells by its name whether a table is left out.
    """

    def __init__(
        self, inspector: Inspector, schema: str | None, scope: str, source: str, leaves_out: Callable[[str], bool]
    ) -> None:
        self._inspector = inspector
        self._schema = schema
        self._scope = scope
        self._source = source
        self._leaves_out = leaves_out

    def records(self, log: ProblemLog) -> list[Record]:
        """Returns a record for every table and view, each followed by its columns; what cannot be read goes to the log."""
        kinds = {name: kind for name, kind in self._kinds().items() if not self._leaves_out(name)}
        names = sorted(kinds)
        ask = self._inspector
        columns = self._answers(ask.get_multi_columns, ask.get_columns, names, log)
        names = [name for name in names if name in columns]
        keys = self._answers(ask.get_multi_pk_constraint, ask.get_pk_constraint, names, log)
        links = self._answers(ask.get_multi_foreign_keys, ask.get_foreign_keys, names, log)
        comments = self._answers(ask.get_multi_table_comment, ask.get_table_comment, names, log)
        records: list[Record] = []
        for name in names:
            comment = comments.get(name, {}).get("text")
            records.append(self._record("table", name, name, comment, {"metadata": {"kind": kinds[name]}}))
            records += self._fields(name, columns[name], keys.get(name, {}), links.get(name, []))
        return records

    def _kinds(self) -> dict[str, str]:
        kinds = dict.fromkeys(self._inspector.get_table_names(self._schema), "table")
        for ask in (self._inspector.get_view_names, self._inspector.get_materialized_view_names):
            try:
                kinds.update(dict.fromkeys(ask(self._schema), "view"))
            except NotImplementedError:
                continue  # A database without such views.
        return kinds

    def _answers(
        self, many: Callable[..., Mapping[Any, Any]], one: Callable[..., Any], names: list[str], log: ProblemLog
    ) -> dict[str, Any]:
        """Asks about all tables at once, or one by one where one of them spoils the answer."""
        from sqlalchemy.engine.reflection import ObjectKind
        from sqlalchemy.exc import SQLAlchemyError

        try:
            found = {name: answer for (_, name), answer in many(schema=self._schema, kind=ObjectKind.ANY).items()}
            return {name: found[name] for name in names if name in found}
        except NotImplementedError:
            return {}
        except SQLAlchemyError:
            return dict(self._single_answers(one, names, log))

    def _single_answers(self, one: Callable[..., Any], names: list[str], log: ProblemLog) -> Iterator[tuple[str, Any]]:
        from sqlalchemy.exc import SQLAlchemyError

        for name in names:
            try:
                yield name, one(name, schema=self._schema)
            except SQLAlchemyError as error:
                cause = str(getattr(error, "orig", None) or error).splitlines()[0]
                log.add(f"cannot be read: {cause}; repair it or leave it out with exclude", self._source, None, name)

    def _fields(self, table: str, columns: list[Any], key: Mapping[str, Any], links: list[Any]) -> Iterator[Record]:
        references: dict[str, str] = {}
        for link in sorted(links, key=lambda link: str(link.get("referred_table"))):
            for column in link["constrained_columns"]:
                references.setdefault(column, link["referred_table"])
        for column in columns:
            name = column["name"]
            more = {
                "table": table,
                "data_type": type_name(column["type"]),
                "reference": references.get(name),
                "choices": [str(choice) for choice in getattr(column["type"], "enums", ())],
                "metadata": {
                    "primary_key": name in (key.get("constrained_columns") or ()),
                    "nullable": bool(column.get("nullable", True)),
                },
            }
            yield self._record("field", f"{table}.{name}", name, column.get("comment"), more)

    def _record(self, kind: str, place: str, name: str, comment: str | None, more: dict[str, Any]) -> Record:
        values = {"scope": self._scope, "name": name, "label": split_words(name), "description": comment, **more}
        return Record(kind, values, f"{self._source}: {kind} {place!r}")


def type_name(column_type: Any) -> str:
    """Returns a column's type as the database writes it; nothing where it has none."""
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.types import NullType

    if isinstance(column_type, NullType):
        return ""
    try:
        return str(column_type)
    except SQLAlchemyError:  # A type that can be written only in its own dialect.
        return type(column_type).__name__


def masked(url: URL | str) -> str:
    """Writes a URL without its password and other secrets, also one that cannot be parsed."""
    text = url if isinstance(url, str) else url.render_as_string(hide_password=True)
    if isinstance(url, str):
        # Up to the last "@": an unquoted password may hold any of the characters that divide a URL.
        text = re.sub(r"://.*@", "://***@", text, flags=re.DOTALL)
    return _SECRET_OPTION.sub(r"\1***", text)


def without_secrets(error: BaseException, url: URL) -> str:
    """Returns the first line of an error's message, without the secrets of the URL that it may repeat."""
    cause = getattr(error, "orig", None) or error
    text = next(iter(str(cause).strip().splitlines()), "") or type(cause).__name__
    secrets = [str(url.password)] if url.password else []
    for key, value in url.query.items():
        if _SECRET_KEY.search(key):
            secrets += [value] if isinstance(value, str) else value
    for secret in filter(None, secrets):
        for form in (secret, quote(secret), quote_plus(secret)):
            text = text.replace(form, "***")
    return text


def sqlite_fault(url: URL) -> str | None:
    """Says what is wrong with the file that an SQLite URL names; connecting would create one that is missing."""
    database = url.database or ""
    if database.startswith("file:"):
        database = unquote(database.removeprefix("file:"))
    if database in ("", ":memory:") or url.query.get("mode") == "memory":
        return "a new database in memory holds nothing; give the engine of the one that is meant"
    return sqlite_file_fault(Path(database), encrypted="cipher" in url.drivername)


def sqlite_file_fault(path: Path, *, encrypted: bool = False) -> str | None:
    """Says what is wrong with an SQLite file, by its first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(len(SQLITE_MAGIC))
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, ValueError) as error:
        return f"the file cannot be read: {getattr(error, 'strerror', None) or error}"
    if not start:
        return "the file is empty"
    if start != SQLITE_MAGIC and not encrypted:
        return NO_SQLITE
    return None
