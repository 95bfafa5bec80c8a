"""What a generated Python script may be made of: few kinds of syntax, few names, few modules. All else is refused."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict, deque
from datetime import date, datetime, time, timedelta

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
