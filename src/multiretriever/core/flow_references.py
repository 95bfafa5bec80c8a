"""What the inputs of a flow's step name: its table, and the fields of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Field, Step, Table
from multiretriever.core.flows import Flow, FlowStep, Trigger

# Encoded conditions, such as ``assigned_toISEMPTY^active=true``: FIELD OPERATOR VALUE joined by ``^`` (and) or ``^OR`` (or).

OPERATORS = ("ISNOTEMPTY", "ISEMPTY", "NOT IN", "STARTSWITH", "BEFORE", "AFTER", "LIKE", "IN", "!=", ">=", "<=", "=", ">", "<")
_OPERATOR = re.compile("|".join(re.escape(item) for item in OPERATORS))


@dataclass(frozen=True)
class Condition:
    """One comparison.

    Attributes:
        field: Name of the field; the whole text where no operator was found.
        operator: One of ``OPERATORS``; empty where none was found.
        value: What it is compared with.
    """

    field: str
    operator: str = ""
    value: str = ""


def parse_conditions(text: str, known: Collection[str] = ()) -> list[Condition]:
    """Takes encoded conditions apart.

    Args:
        text: The conditions.
        known: Names of fields. A name that is known is not cut at letters that happen to spell an operator.
    """
    parts = [part.removeprefix("OR") for part in text.split("^")]
    return [_parse(part, known) for part in parts if part.strip()]


def _parse(part: str, known: Collection[str]) -> Condition:
    starts = sorted((name for name in known if part.startswith(name)), key=len, reverse=True)
    for name in starts:
        match = _OPERATOR.match(part, len(name))
        if match:
            return Condition(name, match.group(), part[match.end() :])
    match = _OPERATOR.search(part)
    return Condition(part[: match.start()], match.group(), part[match.end() :]) if match else Condition(part)


def write_conditions(conditions: Iterable[Condition]) -> str:
    """Returns encoded conditions that all must hold, in the form that ``parse_conditions`` takes apart."""
    return "^".join(f"{item.field}{item.operator}{item.value}" for item in conditions)


Called = FlowStep | Trigger


def at_run_time(value: str) -> bool:
    """Tells whether a value is filled in when the flow runs, such as ``{{1.record}}``."""
    return value.startswith("{{")


def steps_of_kind(catalog: Catalog, *, trigger: bool) -> tuple[Step, ...]:
    """Returns the steps of a catalog that are triggers, or those that are none."""
    return _of_kind(catalog.of("step"), trigger)


def find_steps(catalog: Catalog, name: str, *, trigger: bool) -> tuple[Step, ...]:
    """Returns the steps of an id or a name that are triggers, or those that are none; none for a blank name."""
    return _of_kind(catalog.find("step", name), trigger) if name else ()


def _of_kind(steps: tuple[Step, ...], trigger: bool) -> tuple[Step, ...]:
    return tuple(step for step in steps if (step.kind == "trigger") == trigger)


def tables_named(called: Called, step: Step) -> Iterator[str]:
    """Yields the names of tables in the inputs of a step (its inputs of type ``table``), as written there."""
    for item in step.inputs:
        name = called.inputs.get(item.name)
        if item.type == "table" and isinstance(name, str) and name and not at_run_time(name):
            yield name


def fields_named(called: Called, step: Step, known: Collection[str]) -> Iterator[str]:
    """Yields the names of fields in the inputs of a step: in its values, its conditions, and where a field is expected.

    Args:
        called: The step of the flow.
        step: Its definition.
        known: Names of the fields of its table, by which conditions are taken apart.
    """
    types = {item.name: item.type for item in step.inputs}
    for name, value in called.inputs.items():
        kind = types.get(name)
        if kind == "values" and isinstance(value, dict):
            yield from value
        elif kind == "conditions" and isinstance(value, str) and not at_run_time(value):
            yield from (item.field for item in parse_conditions(value, known))
        elif kind == "field" and isinstance(value, str) and value and not at_run_time(value):
            yield value


# What the steps of a flow use of a catalog: definitions, tables, fields.


@dataclass(frozen=True)
class Use:
    """One step of a flow, or its trigger, and the elements that it uses.

    Attributes:
        order: Order of the step; 0 for the trigger.
        annotations: Its annotation and the paraphrases of it; empty where it has none.
        step: Its definition; None where the catalog has no such step.
        table: The table that it works on; None where it names none, or one that the catalog does not have.
        fields: The fields of that table that it names, each once.
    """

    order: int
    annotations: tuple[str, ...]
    step: Step | None
    table: Table | None = None
    fields: tuple[Field, ...] = ()


class UseFinder:
    """Looks up what flows use. Remembers definitions, tables and their fields, since a few of them come in most flows."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._steps: dict[str, tuple[Step, ...]] = {}
        self._tables: dict[str, Table | None] = {}
        self._fields: dict[str, dict[str, Field]] = {}

    def uses(self, flow: Flow) -> list[Use]:
        """Returns the trigger (where there is one) and the steps of a flow with what they use."""
        first = [] if flow.trigger is None else [self._use(flow.trigger, 0)]
        return first + [self._use(step, step.order) for step in flow.steps]

    def _use(self, called: FlowStep | Trigger, order: int) -> Use:
        texts = tuple(dict.fromkeys(text.strip() for text in (called.annotation, *called.paraphrases) if text.strip()))
        step = self._step(called.definition or "", trigger=order == 0)
        if step is None:
            return Use(order, texts, None)
        table = next((found for name in tables_named(called, step) if (found := self._table(name))), None)
        if table is None:
            return Use(order, texts, step)
        known = self._fields_of(table)
        names = dict.fromkeys(fields_named(called, step, known))
        return Use(order, texts, step, table, tuple(known[name] for name in names if name in known))

    def _step(self, name: str, *, trigger: bool) -> Step | None:
        if name not in self._steps:
            self._steps[name] = self._catalog.find("step", name) if name else ()
        return next((item for item in self._steps[name] if (item.kind == "trigger") == trigger), None)

    def _table(self, name: str) -> Table | None:
        if name not in self._tables:
            self._tables[name] = next(iter(self._catalog.find("table", name)), None)
        return self._tables[name]

    def _fields_of(self, table: Table) -> dict[str, Field]:
        if table.id not in self._fields:
            # A table's own fields come first: they hide inherited ones of the same name.
            self._fields[table.id] = {field.name: field for field in reversed(self._catalog.fields_of(table))}
        return self._fields[table.id]
