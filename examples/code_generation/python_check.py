"""Checking a Python script against the catalog. The script is read, never run.

Its records come from one function, whose names are all written out, so that they can be checked with certainty::

    query(TABLE, fields=[FIELD, ...], where=[(FIELD, OPERATOR, VALUE), ...], order_by=FIELD, descending=True, limit=10)
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TypeGuard

from multiretriever.core.catalog import Catalog
from multiretriever.grounding.code_check import CodeCheck, CodeFinding, CodeKind, nearest_names
from multiretriever.grounding.flow_check import Change
from multiretriever.grounding.sql_schema import Relation, RelationalSchema

MODULES: dict[str, frozenset[str]] = {
    "collections": frozenset({"Counter", "OrderedDict", "defaultdict", "deque"}),
    "csv": frozenset({"DictReader", "DictWriter", "QUOTE_ALL", "QUOTE_MINIMAL", "reader", "writer"}),
    "datetime": frozenset({"UTC", "date", "datetime", "time", "timedelta", "timezone"}),
    "json": frozenset({"dumps", "loads"}),
    "math": frozenset({"ceil", "exp", "floor", "inf", "isclose", "log", "log10", "log2", "sqrt", "trunc"}),
    "statistics": frozenset(
        {"fmean", "mean", "median", "median_high", "median_low", "mode", "multimode", "pstdev", "pvariance", "quantiles", "stdev",
         "variance"}
    ),
}  # fmt: skip
"""What may be imported, and which names of it may be used: some modules hold others that reach all (``statistics.sys``)."""

BUILTINS = frozenset(
    "abs all any bool dict enumerate filter float frozenset int isinstance len list map max min print range reversed round set "
    "sorted str sum tuple zip".split()
)
"""Built-in functions that may be used."""

_TYPES = (str, int, float, list, dict, set, tuple, date, datetime, time, timedelta, Counter, defaultdict, deque)
METHODS = (
    frozenset(name for kind in _TYPES for name in dir(kind) if not name.startswith("_"))
    | {"writerow", "writerows", "writeheader"}
) - {"format", "format_map"}  # they reach attributes by text
"""Methods and attributes of values that may be used."""

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "contains", "starts with", "is empty", "is not empty")
"""Comparisons of ``query``."""
ARGUMENTS = ("fields", "where", "order_by", "descending", "limit")
"""Named arguments of ``query``."""

SYNTAX: tuple[type[ast.AST], ...] = (
    ast.Module, ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.If, ast.FunctionDef, ast.Return, ast.Import,
    ast.ImportFrom, ast.alias, ast.Pass, ast.Break, ast.Continue, ast.Call, ast.keyword, ast.Name, ast.Constant, ast.Attribute,
    ast.Subscript, ast.Slice, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
    ast.comprehension, ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.JoinedStr, ast.FormattedValue, ast.Lambda,
    ast.arguments, ast.arg, ast.Starred, ast.operator, ast.boolop, ast.unaryop, ast.cmpop, ast.expr_context,
)  # fmt: skip
"""Kinds of syntax that may be used: no classes, no ``while``, ``with``, ``try``, ``match``, ``global`` or ``await``."""

MAX_SOURCE = 20_000
QUERY = "query"
_NEAR = 0.6
_NEAREST = 3
_ROUNDS = 3


def check_python(source: str, catalog: Catalog | RelationalSchema) -> CodeCheck:
    """Checks a script: that it does nothing but ask for records and compute, and that every table and field in it exists.

    A text in brackets, such as ``row["number"]``, must be a field that some query of the script asks for, or a key that the
    script itself writes.

    Args:
        source: The script.
        catalog: The catalog, or the schema made of one.
    """
    tree = _parse(source)
    if isinstance(tree, CodeFinding):
        return CodeCheck((tree,))
    reader = _read(tree, catalog)
    return CodeCheck(tuple(dict.fromkeys(reader.findings)), reader.tables, reader.fields)


def repair_python(source: str, catalog: Catalog | RelationalSchema) -> tuple[str, tuple[Change, ...]]:
    """Replaces tables and fields that do not exist by the most similar real ones (similarity of at least 0.6).

    Returns:
        The script, written anew and without its comments where anything was changed, and what was changed; check it again, since
        not every name has a real one near to it.
    """
    tree = _parse(source)
    if isinstance(tree, CodeFinding):
        return source, ()
    changes: list[Change] = []
    renamed: dict[str, str] = {}
    for _ in range(_ROUNDS):  # What a field can be is known once its table is.
        done = [change for item in _read(tree, catalog).unknown if (change := _mend(item, renamed)) is not None]
        changes += done
        if not done:
            break
    return (ast.unparse(tree) if changes else source), tuple(dict.fromkeys(changes))


@dataclass(frozen=True)
class _Unknown:
    kind: CodeKind
    node: ast.Constant
    part: str
    known: tuple[str, ...]
    before: str = ""
    after: str = ""

    def near(self, number: int, cutoff: float = 0.5) -> tuple[str, ...]:
        return tuple(
            f"{self.before}{item}{self.after}" for item in nearest_names(self.part, self.known, number=number, cutoff=cutoff)
        )


@dataclass
class _Reader:
    schema: RelationalSchema
    findings: list[CodeFinding] = field(default_factory=list)
    unknown: list[_Unknown] = field(default_factory=list)
    tables: int = 0
    fields: int = 0

    def refuse(self, kind: CodeKind, name: str, node: ast.AST, nearest: tuple[str, ...] = ()) -> None:
        self.findings.append(CodeFinding(kind, name, f"line {getattr(node, 'lineno', 1)}", nearest))

    def miss(self, item: _Unknown) -> None:
        self.unknown.append(item)
        self.refuse(item.kind, str(item.node.value), item.node, item.near(_NEAREST))

    def query(self, call: ast.Call) -> Iterator[str]:
        """Reads a call of ``query``; yields the fields that its records have."""
        self.tables += 1
        if len(call.args) != 1 or any(item.arg not in ARGUMENTS for item in call.keywords):
            self.refuse("statement", f"{QUERY} takes a table, and by their names {', '.join(ARGUMENTS)}", call)
            return
        table = _text(call.args[0])
        relation = self.schema.get(str(table.value)) if table else None
        if table is None:
            self.refuse("statement", "a table must be written out as text", call)
        elif relation is None:
            self.miss(_Unknown("table", table, str(table.value), self.schema.names))
        for item in call.keywords:
            yield from self._argument(item, relation)

    def _argument(self, item: ast.keyword, relation: Relation | None) -> Iterator[str]:
        if item.arg == "fields":
            for node in self._items(item.value, "fields"):
                self._field(node, relation)
                if name := _text(node):
                    yield str(name.value)
        elif item.arg == "where":
            for node in self._items(item.value, "where"):
                self._condition(node, relation)
        elif item.arg == "order_by":
            self._field(item.value, relation)
        elif not isinstance(item.value, ast.Constant):
            self.refuse("statement", f"{item.arg} must be written out", item.value)

    def _items(self, node: ast.expr, name: str) -> list[ast.expr]:
        if isinstance(node, ast.List | ast.Tuple):
            return node.elts
        self.refuse("statement", f"{name} must be written out as a list", node)
        return []

    def _condition(self, node: ast.expr, relation: Relation | None) -> None:
        parts = node.elts if isinstance(node, ast.Tuple | ast.List) else []
        operator = _text(parts[1]) if len(parts) in (2, 3) else None
        if operator is None or operator.value not in OPERATORS or any(isinstance(item, ast.Starred) for item in parts):
            form = f"(FIELD, OPERATOR, VALUE) with one of the operators {', '.join(OPERATORS)}"
            self.refuse("statement", f"a condition is written {form}", node)
            return
        self._field(parts[0], relation)

    def _field(self, node: ast.expr, relation: Relation | None) -> None:
        self.fields += relation is not None
        name = _text(node)
        if name is None:
            self.refuse("statement", "a field must be written out as text", node)
        elif relation is not None and (missing := _missing(name, relation, self.schema)) is not None:
            self.miss(missing)


def _missing(node: ast.Constant, relation: Relation, schema: RelationalSchema) -> _Unknown | None:
    """Returns the part that does not exist of a field, or of a path over references such as ``assigned_to.email``."""
    parts = str(node.value).split(".")
    for place, part in enumerate(parts):
        column, last = relation.column(part), place == len(parts) - 1
        target = schema.get(column.references) if column and column.references else None
        if column is None or (target is None and not last):
            before, after = ("".join(f"{item}." for item in parts[:place]), "".join(f".{item}" for item in parts[place + 1 :]))
            # A column that leads nowhere ends its path.
            return _Unknown("field", node, part, relation.names, before, after if column is None else "")
        relation = target or relation
    return None


def _parse(source: str) -> ast.Module | CodeFinding:
    if len(source) > MAX_SOURCE:
        return CodeFinding("syntax", f"the script is longer than {MAX_SOURCE} characters", "line 1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python would say of odd escapes
            tree = ast.parse(source)
    except SyntaxError as error:
        return CodeFinding("syntax", f"not Python: {error.msg}", f"line {error.lineno or 1}")
    except (ValueError, RecursionError, MemoryError) as error:
        return CodeFinding("syntax", f"not Python: {str(error) or 'nested too deeply'}", "line 1")
    return tree if any(not isinstance(item, ast.Pass) for item in tree.body) else CodeFinding("syntax", "it is empty", "line 1")


def _read(tree: ast.Module, catalog: Catalog | RelationalSchema) -> _Reader:
    reader = _Reader(catalog if isinstance(catalog, RelationalSchema) else RelationalSchema(catalog))
    nodes = list(ast.walk(tree))
    modules = dict(_imports(nodes, reader))
    _names(nodes, modules, reader)
    asked = {name for node in nodes if _is_query(node) for name in reader.query(node)}
    _keys(nodes, tuple(sorted(asked)), reader)
    for node in nodes:
        if not isinstance(node, SYNTAX):
            reader.refuse("statement", f"{type(node).__name__} is not allowed in a script", node)
    return reader


def _imports(nodes: list[ast.AST], reader: _Reader) -> Iterator[tuple[str, str]]:
    """Checks what is imported; yields the names that modules have in the script, with the modules."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for item in node.names:
                if item.name not in MODULES:
                    reader.refuse("import", item.name, node, tuple(MODULES))
                yield item.asname or item.name, item.name
        elif isinstance(node, ast.ImportFrom):
            allowed = MODULES.get(node.module or "", frozenset()) if not node.level else frozenset()
            for item in node.names:
                if item.name not in allowed:
                    reader.refuse("import", f"{node.module}.{item.name}", node, nearest_names(item.name, allowed))


def _names(nodes: list[ast.AST], modules: dict[str, str], reader: _Reader) -> None:
    made = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    made |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    made |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    made |= {item.asname or item.name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for item in node.names}
    called = {id(node.func) for node in nodes if _is_query(node)}
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in called:
            if node.id == QUERY or node.id.startswith("_") or node.id not in made | BUILTINS:
                reader.refuse("name", node.id, node)
        elif isinstance(node, ast.Attribute):
            module = modules.get(node.value.id) if isinstance(node.value, ast.Name) else None
            allowed = MODULES.get(module, frozenset()) if module else METHODS
            if node.attr not in allowed or not isinstance(node.ctx, ast.Load):
                reader.refuse("attribute", node.attr, node)
    for name in sorted(name for name in made if name in (QUERY, *BUILTINS) or name.startswith("__")):
        reader.refuse("statement", f"{name} may not be given another meaning", nodes[0])


def _keys(nodes: list[ast.AST], asked: tuple[str, ...], reader: _Reader) -> None:
    """Checks texts in brackets and in ``get``: they are fields that were asked for, or keys that the script writes."""
    read: list[ast.Constant] = []
    written: set[object] = set()
    for node in nodes:
        if isinstance(node, ast.Dict):
            written |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
            written |= {item.arg for item in node.keywords}
        elif isinstance(node, ast.Subscript) and (key := _text(node.slice)):
            if isinstance(node.ctx, ast.Load):
                read.append(key)
            else:
                written.add(key.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop"):
            read += [key for item in node.args[:1] if (key := _text(item))]
    for key in read:
        reader.fields += 1
        if key.value not in written and key.value not in asked:
            reader.miss(_Unknown("field", key, str(key.value), asked))


def _is_query(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == QUERY


def _text(node: ast.AST) -> ast.Constant | None:
    return node if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _mend(item: _Unknown, renamed: dict[str, str]) -> Change | None:
    was = str(item.node.value)
    near = renamed.get(was) if renamed.get(was) in item.known else next(iter(item.near(1, _NEAR)), None)
    if near is None:
        return None
    item.node.value = near
    renamed[was] = near
    return Change(f"line {item.node.lineno}", item.kind, was, near)
