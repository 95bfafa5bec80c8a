"""What a request asks of the tables, and how that is written in SQL and in Python."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from multiretriever.core.sqlite_sample import quoted
from multiretriever.grounding.sql_schema import Column, Relation

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "contains", "is empty", "is not empty"]
_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Words that SQLite does not take for a name unless they are in quotes, and a few that other readers of SQL stumble over.
_RESERVED = frozenset(
    "add all alter and any as asc between by case cast check collate column commit constraint create cross current database "
    "default delete desc distinct do drop else end escape except exists explain false filter for foreign from full group having "
    "if ignore in index inner insert intersect into is isnull join key left like limit natural no not nothing notnull null of "
    "offset on or order outer over partition primary range references replace returning right row rows select set table temp "
    "then to transaction true union unique update using values view when where window with".split()
)


@dataclass(frozen=True)
class Path:
    """A field of the table, or of one that it refers to.

    Attributes:
        column: The field.
        via: The reference that leads to its table; None for the table itself.
    """

    column: Column
    via: Column | None = None

    @property
    def name(self) -> str:
        """Its name, with that of the reference before it: ``caller.email``."""
        return f"{self.via.name}.{self.column.name}" if self.via else self.column.name


@dataclass(frozen=True)
class Ago:
    """A moment before now.

    Attributes:
        number: How many units.
        unit: ``hours``, ``days``, ``months`` or ``years``.
        day: Whether days are meant, without the time of day.
    """

    number: int
    unit: Literal["hours", "days", "months", "years"]
    day: bool = False


Value = str | int | float | Ago | tuple[str, ...] | None


@dataclass(frozen=True)
class Test:
    """One condition."""

    __test__ = False  # it is none of pytest's

    path: Path
    operator: Operator
    value: Value = None


@dataclass(frozen=True)
class QueryPlan:
    """What is asked of one table and those that it refers to.

    Attributes:
        relation: The table.
        fields: What is shown.
        tests: Conditions, all of which must hold.
        count: Whether rows are counted.
        group: What they are counted by.
        order: What they are sorted by.
        descending: Whether the largest comes first.
        limit: Rows at most; None for all.
        notes: What a person should look at: words that were taken for a field that is not called so, and words that say nothing
            that is known.
    """

    relation: Relation
    fields: tuple[Path, ...] = ()
    tests: tuple[Test, ...] = ()
    count: bool = False
    group: Path | None = None
    order: Path | None = None
    descending: bool = False
    limit: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All fields that it speaks of."""
        more = [item for item in (self.group, self.order) if item is not None]
        return (*self.fields, *(item.path for item in self.tests), *more)


def to_sql(plan: QueryPlan) -> str:
    """Writes a plan as a query in SQLite's dialect."""
    joins = list({path.via.name: path.via for path in plan.paths if path.via is not None}.values())
    name = _Names(plan.relation, bool(joins))
    if plan.count:
        shown = [name.shown(plan.group), "COUNT(*) AS total"] if plan.group else ["COUNT(*) AS total"]
    else:
        shown = [name.shown(path) for path in plan.fields]
    lines = [f"SELECT {', '.join(shown)}", f"FROM {_name(plan.relation.name)}"]
    for via in joins:
        table, alias = _name(via.references or ""), name.alias(via)
        lines.append(f"LEFT JOIN {table} AS {alias} ON {alias}.{name.key(via)} = {name.of(Path(via))}")
    if plan.tests:
        lines.append("WHERE " + "\n  AND ".join(_sql_test(item, name) for item in plan.tests))
    if plan.count and plan.group:
        lines += [f"GROUP BY {name.of(plan.group)}", "ORDER BY total DESC"]
    elif plan.order and not plan.count:
        lines.append(f"ORDER BY {name.of(plan.order)}{' DESC' if plan.descending else ''}")
    if plan.limit is not None and (plan.group or not plan.count):
        lines.append(f"LIMIT {plan.limit}")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Names:
    relation: Relation
    joined: bool

    def of(self, path: Path) -> str:
        if path.via is not None:
            return f"{self.alias(path.via)}.{_name(path.column.name)}"
        return f"{_name(self.relation.name)}.{_name(path.column.name)}" if self.joined else _name(path.column.name)

    def shown(self, path: Path) -> str:
        return f"{self.of(path)} AS {_name(path.name.replace('.', '_'))}" if path.via else self.of(path)

    def alias(self, via: Column) -> str:
        same = via.name.lower() == self.relation.name.lower()
        return _name(f"{via.name}_record" if same else via.name)

    def key(self, via: Column) -> str:
        return _name(via.target_key)


def to_python(plan: QueryPlan) -> str:
    """Writes a plan as a script over ``query`` (see ``check_python``)."""
    fields = [plan.group] if plan.count and plan.group else list(plan.fields)
    if plan.count and not plan.group:
        fields = [Path(Column(plan.relation.key))]
    lines = [f"    {_python(plan.relation.name)},", f"    fields={_python([item.name for item in fields])},"]
    if plan.tests:
        lines += ["    where=[", *(f"        {_python_test(item)}," for item in plan.tests), "    ],"]
    if plan.order and not plan.count:
        lines += [f"    order_by={_python(plan.order.name)},"] + (["    descending=True,"] if plan.descending else [])
    if plan.limit is not None and not plan.count:
        lines.append(f"    limit={plan.limit},")
    code = ["records = query(", *lines, ")", *_python_result(plan, fields)]
    imports = ["from collections import Counter"] if plan.count and plan.group else []
    moments = [item.value for item in plan.tests if isinstance(item.value, Ago)]
    if moments:
        imports.append(f"from datetime import datetime{', timedelta' if any(item.number for item in moments) else ''}")
    return "\n".join([*imports, *([""] if imports else []), *code]) + "\n"


def _python_result(plan: QueryPlan, fields: list[Path]) -> list[str]:
    if not plan.count:
        shown = ", ".join(f"record[{_python(item.name)}]" for item in fields)
        return ["for record in records:", f"    print({shown})"]
    if plan.group is None:
        return ["print(len(records))"]
    most = f"most_common({plan.limit if plan.limit is not None else ''})"
    counted = f"Counter(record[{_python(plan.group.name)}] for record in records)"
    return [f"for value, total in {counted}.{most}:", "    print(value, total)"]


def _sql_test(test: Test, name: _Names) -> str:
    left = name.of(test.path)
    if test.operator in ("is empty", "is not empty"):
        return f"{left} IS {'NOT ' if test.operator == 'is not empty' else ''}NULL"
    if test.operator == "contains":
        return f"{left} LIKE {_sql_value(f'%{test.value}%')}"
    if test.operator == "in" and isinstance(test.value, tuple):
        return f"{left} IN ({', '.join(_sql_value(item) for item in test.value)})"
    return f"{left} {test.operator} {_sql_value(test.value)}"


def _sql_value(value: Value) -> str:
    if isinstance(value, Ago):
        before = f", '-{value.number} {value.unit}'" if value.number else ""
        return f"{'date' if value.day else 'datetime'}('now'{before})"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


def _python_test(test: Test) -> str:
    if test.operator in ("is empty", "is not empty"):
        return f"({_python(test.path.name)}, {_python(test.operator)})"
    value = _python_ago(test.value) if isinstance(test.value, Ago) else _python(test.value)
    return f"({_python(test.path.name)}, {_python(test.operator)}, {value})"


def _python(value: Any) -> str:
    """A text, number or list of texts as Python has it, which for these is as JSON has it."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _python_ago(value: Ago) -> str:
    # A script has no calendar for months and years: their usual lengths in days are taken.
    days = {"hours": 0, "days": 1, "months": 30, "years": 365}[value.unit]
    length = f"days={days * value.number}" if days else f"hours={value.number}"
    moment = f"(datetime.now() - timedelta({length}))" if value.number else "datetime.now()"
    return f"{moment}.date().isoformat()" if value.day else f'{moment}.isoformat(" ", "seconds")'


def _name(name: str) -> str:
    return name if _SIMPLE.fullmatch(name) and name.lower() not in _RESERVED else quoted(name)
