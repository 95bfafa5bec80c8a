"""Resolves the names of a parsed query: which table or column each one means, and which mean nothing.

Works on the syntax tree of sqlglot. Its own scopes leave some columns out, so that a hallucinated one in ``HAVING`` would not be
found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from sqlglot import exp

from multiretriever.grounding.sql_schema import RelationalSchema

if TYPE_CHECKING:
    from sqlglot.expressions import Expr  # the root of all nodes; before sqlglot 29 it was called Expression

Outputs = tuple[str, ...] | None
"""Names of the columns that a table or query returns; None where they are not known, since a table in it does not exist."""
_MAIN = ("", "main")


@dataclass(frozen=True)
class Unknown:
    """A name that means nothing.

    Attributes:
        kind: What it should be; ``alias`` for a table that a column is said to be of.
        node: Its place in the tree: a table, a column, or the identifier of ``USING``.
        name: The name as it was written.
        known: What it could have been.
    """

    kind: Literal["table", "field", "alias"]
    node: exp.Table | exp.Column | exp.Identifier
    name: str
    known: tuple[str, ...]


@dataclass
class Names:
    """The names of a query.

    Attributes:
        unknown: Those that mean nothing, in the order in which they were met.
        foreign: Parts of the tree that are no plain query on tables: table functions, pivots and the like.
        tables: Number of times that a table is named.
        fields: Number of times that a column is named, of tables that exist.
    """

    unknown: list[Unknown] = field(default_factory=list)
    foreign: list[Expr] = field(default_factory=list)
    tables: int = 0
    fields: int = 0


@dataclass(frozen=True)
class _Frame:
    """What can be named in one query: its sources, the names of its results, and the queries around it."""

    ctes: Mapping[str, Outputs]
    outer: _Frame | None = None
    sources: dict[str, Outputs] = field(default_factory=dict)
    aliases: frozenset[str] = frozenset()

    def around(self) -> Iterator[_Frame]:
        frame: _Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.outer


def resolve_names(query: exp.Query, schema: RelationalSchema) -> Names:
    """Resolves every name of a query."""
    resolver = _Resolver(schema)
    resolver.query(query, {}, None)
    return resolver.names


class _Resolver:
    def __init__(self, schema: RelationalSchema) -> None:
        self.names = Names()
        self._schema = schema

    def query(self, node: Expr, ctes: Mapping[str, Outputs], outer: _Frame | None) -> Outputs:
        """Resolves a query; returns the names of its columns."""
        if isinstance(node, exp.Query):
            ctes = self._ctes(node, ctes, outer)
        if isinstance(node, exp.Select):
            return self._select(node, ctes, outer)
        if isinstance(node, exp.SetOperation):
            outputs = self.query(node.this, ctes, outer)
            self.query(node.expression, ctes, outer)
        elif isinstance(node, exp.Subquery):
            outputs = self.query(node.this, ctes, outer)
        elif isinstance(node, exp.Values):
            outputs = _values(node)
        else:
            self.names.foreign.append(node)
            return None
        # What follows a union or a query in parentheses (ORDER BY, LIMIT) names its results.
        done = {id(node.this), id(node.args.get("expression"))}
        for key, value in _children(node):
            if key not in ("with", "with_", "alias", "joins") and id(value) not in done:
                self._part(value, _Frame(ctes, outer, {"": outputs}))
        return outputs

    def _ctes(self, node: exp.Query, ctes: Mapping[str, Outputs], outer: _Frame | None) -> Mapping[str, Outputs]:
        known = dict(ctes)
        for cte in node.ctes:
            name, renamed = cte.alias.lower(), tuple(cte.alias_column_names)
            first = _first(cte.this)
            if first is not cte.this and not _reads(first, name):  # It may read itself: it has the columns of its first part.
                known[name] = renamed or _Resolver(self._schema).query(first, known, outer)
            outputs = self.query(cte.this, known, outer)
            known[name] = renamed or outputs
        return known

    def _select(self, node: exp.Select, ctes: Mapping[str, Outputs], outer: _Frame | None) -> Outputs:
        frame = _Frame(ctes, outer)
        parts = _children(node)
        joins = [value for _, value in parts if isinstance(value, exp.Join)]
        for _, value in parts:
            if isinstance(value, exp.From):
                self._source(value.this, frame)
        for join in joins:
            before = dict(frame.sources)
            joined = self._source(join.this, frame)
            self._using(join, before, joined)
        # The results of a query have names for its clauses and not for each other.
        named = replace(frame, aliases=frozenset(item.alias.lower() for item in node.expressions if isinstance(item, exp.Alias)))
        for key, value in parts:
            if isinstance(value, exp.Join):
                for name, inner in _children(value):
                    if name not in ("this", "using"):
                        self._part(inner, named)
            elif not isinstance(value, exp.From | exp.With):
                self._part(value, frame if key == "expressions" else named)
        return _outputs(node, frame)

    def _source(self, node: Expr, frame: _Frame) -> Outputs:
        """Adds what a FROM or JOIN names to a frame."""
        found: Outputs = None
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            found = self._table(node, frame)
        elif isinstance(node, exp.Subquery) and _groups_joins(node):
            found = self._source(node.this, frame)
        elif isinstance(node, exp.Subquery | exp.Values):
            outputs = self.query(node, frame.ctes, frame.outer)
            found = tuple(node.alias_column_names) or outputs
            frame.sources[node.alias.lower() or f" {len(frame.sources)}"] = found
        else:
            self.names.foreign.append(node)
            frame.sources[node.alias_or_name.lower()] = None
        for key, value in _children(node):
            if isinstance(value, exp.Join):
                joined = self._source(value.this, frame)
                self._using(value, frame.sources, joined)
                for name, inner in _children(value):
                    if name not in ("this", "using"):
                        self._part(inner, frame)
            elif key in ("pivots", "laterals", "sample", "when", "indexed"):
                self.names.foreign.append(value)
        return found

    def _table(self, node: exp.Table, frame: _Frame) -> Outputs:
        key = node.alias_or_name.lower()
        if not node.db and node.name.lower() in frame.ctes:
            frame.sources[key] = frame.ctes[node.name.lower()]
            return frame.sources[key]
        self.names.tables += 1
        relation = self._schema.get(node.name) if node.db.lower() in _MAIN and not node.catalog else None
        if relation is None:
            name = ".".join(part.name for part in node.parts)
            self.names.unknown.append(Unknown("table", node, name, (*frame.ctes, *self._schema.names)))
        frame.sources[key] = relation.names if relation else None
        return frame.sources[key]

    def _using(self, join: exp.Join, before: Mapping[str, Outputs], joined: Outputs) -> None:
        for item in join.args.get("using") or ():
            self.names.fields += 1
            others = [outputs for outputs in before.values() if outputs is not joined]
            both = [joined, _together(others)]
            missing = [outputs for outputs in both if outputs is not None and not _has(outputs, item.name)]
            if missing:
                node = item.this if isinstance(item, exp.Column) else item
                known = tuple(name for name in both[0] or () if _has(both[1] or (), name)) or missing[0]
                self.names.unknown.append(Unknown("field", node, item.name, known))

    def _part(self, node: Expr, frame: _Frame) -> None:
        """Resolves the columns of a part of a query, and the queries in it."""
        if isinstance(node, exp.Query):
            self.query(node, frame.ctes, frame)
        elif isinstance(node, exp.Column):
            self._column(node, frame)
        else:
            if isinstance(node, exp.Lateral | exp.Unnest | exp.Pivot | exp.Into | exp.Placeholder | exp.Parameter | exp.Lock):
                self.names.foreign.append(node)
            for _, value in _children(node):
                self._part(value, frame)

    def _column(self, node: exp.Column, frame: _Frame) -> None:
        if node.table:
            self._qualified(node, frame)
            return
        known: list[str] = []
        for around in frame.around():
            sources = around.sources.values()
            if node.name.lower() in around.aliases or any(item is not None and _has(item, node.name) for item in sources):
                self.names.fields += 1
                return
            if None in sources:
                return  # It may be of the table that does not exist.
            known += [*(name for item in sources for name in item or ()), *sorted(around.aliases)]
        self.names.fields += 1
        self.names.unknown.append(Unknown("field", node, node.name, tuple(dict.fromkeys(known))))

    def _qualified(self, node: exp.Column, frame: _Frame) -> None:
        star = isinstance(node.this, exp.Star)
        found = next((around.sources for around in frame.around() if node.table.lower() in around.sources), None)
        if found is None:
            self.names.fields += not star
            known = tuple(name for around in frame.around() for name in around.sources if name.strip())
            self.names.unknown.append(Unknown("alias", node, node.table, known))
            return
        outputs = found[node.table.lower()]
        if star or outputs is None:
            return
        self.names.fields += 1
        if not _has(outputs, node.name):
            self.names.unknown.append(Unknown("field", node, node.name, outputs))


def _children(node: Expr) -> list[tuple[str, Expr]]:
    """The parts right below a node, each with what it is there."""
    found: list[tuple[str, Expr]] = []
    for key, value in node.args.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, exp.Expression):
                found.append((key, item))
    return found


def _groups_joins(node: exp.Subquery) -> bool:
    """Whether parentheses stand around joins, and not around a query."""
    inner: Expr = node
    while isinstance(inner, exp.Subquery):
        inner = inner.this
    return isinstance(inner, exp.Table)


def _has(outputs: tuple[str, ...], name: str) -> bool:
    return name.lower() in (item.lower() for item in outputs)


def _together(sources: list[Outputs]) -> Outputs:
    return None if None in sources else tuple(name for outputs in sources for name in outputs or ())


def _outputs(select: exp.Select, frame: _Frame) -> Outputs:
    names: list[str] = []
    for item in select.expressions:
        star = item.this if isinstance(item, exp.Column) else item
        if not isinstance(star, exp.Star):
            names.append(item.alias_or_name)
            continue
        sources = [frame.sources.get(item.table.lower())] if isinstance(item, exp.Column) else list(frame.sources.values())
        together = _together(sources)
        if together is None:
            return None
        names += together
    return tuple(names)


def _first(query: Expr) -> Expr:
    """The first part of a union; the query itself where it is none."""
    while isinstance(query, exp.SetOperation):
        query = query.this
    return query


def _reads(query: Expr, name: str) -> bool:
    return any(not table.db and table.name.lower() == name for table in query.find_all(exp.Table))


def _values(node: exp.Values) -> Outputs:
    first = node.expressions[0] if node.expressions else None
    return tuple(f"column{number + 1}" for number in range(len(first.expressions))) if first else None
