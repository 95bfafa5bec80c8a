"""One schema of a database as records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import NullType

from multiretriever.core.names import split_words
from multiretriever.core.records import ProblemLog, Record

if TYPE_CHECKING:
    from sqlalchemy import Inspector


class SchemaReader:
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
        try:
            found = {name: answer for (_, name), answer in many(schema=self._schema, kind=ObjectKind.ANY).items()}
            return {name: found[name] for name in names if name in found}
        except NotImplementedError:
            return {}
        except SQLAlchemyError:
            return dict(self._single_answers(one, names, log))

    def _single_answers(self, one: Callable[..., Any], names: list[str], log: ProblemLog) -> Iterator[tuple[str, Any]]:
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
    if isinstance(column_type, NullType):
        return ""
    try:
        return str(column_type)
    except SQLAlchemyError:  # A type that can be written only in its own dialect.
        return type(column_type).__name__
