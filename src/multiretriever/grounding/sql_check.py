"""Checks the names in a query in SQL against the catalog, and repairs those that do not exist.

Needs the extra ``code``: ``pip install "multiretriever[code]"``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from multiretriever.core.errors import MissingDependencyError

# Before the modules that are written over its trees.
try:
    from sqlglot import Token, TokenType, exp, parse, tokenize
    from sqlglot.errors import SqlglotError
except ImportError as error:
    raise MissingDependencyError('checking SQL needs sqlglot; install it with: pip install "multiretriever[code]"') from error

from multiretriever.core.catalog import Catalog
from multiretriever.grounding.code_check import CodeCheck, CodeFinding, nearest_names
from multiretriever.grounding.flow_check import Change
from multiretriever.grounding.sql_names import Names, Unknown, resolve_names
from multiretriever.grounding.sql_schema import RelationalSchema

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

FUNCTIONS = frozenset(
    "abs avg ceil ceiling coalesce count cume_dist current_date current_time current_timestamp date datetime dense_rank exp "
    "first_value floor glob group_concat ifnull iif instr json_array_length json_extract -> ->> julianday lag last_value lead "
    "length like ln log lower ltrim max min mod nth_value ntile nullif percent_rank pow power quote rank round row_number rtrim "
    "sign sqrt strftime string_agg substr substring sum time total trim trunc typeof unicode unixepoch upper".split()
)
"""Functions that a query may call: those that only compute, with results no larger than their arguments."""

MAX_TOKENS = 2_000
MAX_DEPTH = 40
_STARTS = (TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN, TokenType.VALUES)
_ONE_QUERY = "only one query is run: a single SELECT, with or without WITH"
_NEAR, _NEAR_QUOTED = 0.6, 0.85
_ROUNDS = 3


def check_sql(sql: str, catalog: Catalog | RelationalSchema, *, dialect: str = "sqlite") -> CodeCheck:
    """Checks a query: that it is one query, and that every table and column in it exists.

    Aliases, common table expressions, subqueries, ``*``, correlated subqueries and unions are resolved; a column is looked up in
    its own table, with the fields that it inherits. Ambiguous names are left to the database.

    Args:
        sql: The query.
        catalog: The catalog, or the schema made of one.
        dialect: Dialect of SQL, by its name in sqlglot.
    """
    tree = _parse(sql, dialect)
    if isinstance(tree, CodeFinding):
        return CodeCheck((tree,))
    names = _resolve(tree, catalog)
    if isinstance(names, CodeFinding):
        return CodeCheck((names,))
    findings = [_finding(item) for item in names.unknown] + [_foreign(item, dialect) for item in names.foreign]
    findings += _functions(tree)
    return CodeCheck(tuple(dict.fromkeys(findings)), names.tables, names.fields)


def repair_sql(sql: str, catalog: Catalog | RelationalSchema, *, dialect: str = "sqlite") -> tuple[str, tuple[Change, ...]]:
    """Replaces names that do not exist by the most similar real ones (Ratcliff-Obershelp similarity of at least 0.6).

    A name in double quotes that is compared with something, and that is no column, becomes text, as SQLite reads it.

    Returns:
        The query and what was changed. Check it again: not every name has a similar real one.
    """
    changes: list[Change] = []
    tree = _parse(sql, dialect)
    if isinstance(tree, CodeFinding):
        return sql, ()
    for _ in range(_ROUNDS):  # What a column can be is known once its table is.
        names = _resolve(tree, catalog)
        if isinstance(names, CodeFinding):
            return sql, ()
        done = [change for item in names.unknown if (change := _mend(item)) is not None]
        changes += done
        if not done:
            break
    return (tree.sql(dialect=dialect) if changes else sql), tuple(dict.fromkeys(changes))


def _parse(sql: str, dialect: str) -> exp.Query | CodeFinding:
    try:
        tokens = tokenize(sql, dialect=dialect)
        fault = _refused(tokens)
        if fault is not None:
            return fault
        with _quiet():
            trees = [tree for tree in parse(sql, dialect=dialect) if tree is not None]
    except SqlglotError as error:
        place: dict[str, Any] = next(iter(getattr(error, "errors", ())), {})
        return CodeFinding("syntax", f"not {dialect} SQL: {place.get('description') or error}", f"line {place.get('line') or 1}")
    except RecursionError:
        return CodeFinding("syntax", "the query is nested too deeply", "line 1")
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        return CodeFinding("statement", _ONE_QUERY, "line 1")
    return trees[0]


def _refused(tokens: list[Token]) -> CodeFinding | None:
    """Returns what is wrong with a text before it is parsed: a parser recurses for every level, and reads more than queries."""
    if not tokens:
        return CodeFinding("syntax", "there is no query", "line 1")
    if len(tokens) > MAX_TOKENS:
        return CodeFinding("syntax", f"the query is longer than {MAX_TOKENS} words", "line 1")
    depth = 0
    for place, token in enumerate(tokens):
        depth += (token.token_type == TokenType.L_PAREN) - (token.token_type == TokenType.R_PAREN)
        if depth > MAX_DEPTH:
            return CodeFinding("syntax", f"the query is nested deeper than {MAX_DEPTH} levels", f"line {token.line}")
        if token.token_type == TokenType.SEMICOLON and any(item.token_type != TokenType.SEMICOLON for item in tokens[place:]):
            return CodeFinding("statement", _ONE_QUERY, f"line {token.line}")
    return None if tokens[0].token_type in _STARTS else CodeFinding("statement", _ONE_QUERY, f"line {tokens[0].line}")


def _resolve(tree: exp.Query, catalog: Catalog | RelationalSchema) -> Names | CodeFinding:
    try:
        return resolve_names(tree, catalog if isinstance(catalog, RelationalSchema) else RelationalSchema(catalog))
    except RecursionError:
        return CodeFinding("syntax", "the query is nested too deeply", "line 1")


def _functions(tree: exp.Query) -> list[CodeFinding]:
    called = [item for item in tree.find_all(exp.Anonymous) if not isinstance(item.parent, exp.Table)]
    wrong = [item for item in called if item.name.lower() not in FUNCTIONS]
    return [CodeFinding("function", item.name, _line(item), nearest_names(item.name, FUNCTIONS)) for item in wrong]


def _finding(item: Unknown) -> CodeFinding:
    return CodeFinding(item.kind, item.name, _line(item.node), nearest_names(item.name.split(".")[-1], item.known))


def _foreign(node: Expr, dialect: str) -> CodeFinding:
    text = " ".join(node.sql(dialect=dialect).split())
    return CodeFinding("statement", f"{text[:80]} is not allowed; only plain queries on the tables are", _line(node))


def _line(node: Expr) -> str:
    identifiers = [node] if isinstance(node, exp.Identifier) else node.find_all(exp.Identifier)
    return f"line {next((item.meta['line'] for item in identifiers if 'line' in item.meta), 1)}"


def _mend(item: Unknown) -> Change | None:
    node, where = item.node, _line(item.node)
    value = isinstance(node, exp.Column) and item.kind == "field" and _may_be_text(node)
    near = next(
        iter(nearest_names(item.name.split(".")[-1], item.known, number=1, cutoff=_NEAR_QUOTED if value else _NEAR)), None
    )
    if near is None:
        if value:
            node.replace(exp.Literal.string(item.name))
        return Change(where, item.kind, item.name, f"'{item.name}'") if value else None
    if isinstance(node, exp.Identifier):
        node.replace(exp.to_identifier(near))
    elif item.kind == "alias":
        node.set("table", exp.to_identifier(near))
    elif isinstance(node, exp.Table):
        _rename(node, near)
    else:
        node.set("this", exp.to_identifier(near))
    return Change(where, item.kind, item.name, near)


def _rename(table: exp.Table, name: str) -> None:
    """Renames a table, and with it the columns that name it."""
    before = table.name
    for part in ("db", "catalog"):
        table.set(part, None)
    table.set("this", exp.to_identifier(name))
    if not table.alias:
        select = table.find_ancestor(exp.Select)
        columns = select.find_all(exp.Column) if select else ()
        for column in columns:
            if column.table.lower() == before.lower():
                column.set("table", exp.to_identifier(name))
                column.set("db", None)


def _may_be_text(node: exp.Column) -> bool:
    """Whether a name is in quotes and compared with something, as text is by those who take double quotes for it."""
    return not node.table and bool(node.this.args.get("quoted")) and isinstance(node.parent, exp.Predicate)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the parser's warning of an unknown statement off the log; the check reports it."""
    logger = logging.getLogger("sqlglot")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
