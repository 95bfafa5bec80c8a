"""What a flow names of a catalog: definitions, and in the inputs of its steps tables and fields.

Fields are named as the keys of values, in inputs of type ``field``, and in encoded conditions, such as
``assigned_toISEMPTY^active=true``: FIELD OPERATOR VALUE joined by ``^`` (and) or ``^OR`` (or).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Field, Step, Table
from multiretriever.core.flows import Flow, FlowStep, Trigger

OPERATORS = ("ISNOTEMPTY", "ISEMPTY", "NOT IN", "STARTSWITH", "BEFORE", "AFTER", "LIKE", "IN", "!=", ">=", "<=", "=", ">", "<")
_OPERATOR = re.compile("|".join(re.escape(item) for item in OPERATORS))

Called = FlowStep | Trigger
"""What calls a definition in a flow."""


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
    """Yields the names of tables in the inputs of a step (its inputs of type ``table``), as they stand there."""
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


@dataclass(frozen=True)
class Use:
    """One step of a flow, or its trigger, and the elements that it names.

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


def uses(flow: Flow, catalog: Catalog) -> list[Use]:
    """Returns the trigger (where there is one) and the steps of a flow with the elements of a catalog that they name."""
    first = [] if flow.trigger is None else [_use(flow.trigger, 0, catalog)]
    return first + [_use(step, step.order, catalog) for step in flow.steps]


def _use(called: Called, order: int, catalog: Catalog) -> Use:
    texts = tuple(dict.fromkeys(text.strip() for text in (called.annotation, *called.paraphrases) if text.strip()))
    step = next(iter(find_steps(catalog, called.definition or "", trigger=order == 0)), None)
    if step is None:
        return Use(order, texts, None)
    table = next((item for name in tables_named(called, step) for item in catalog.find("table", name)), None)
    if table is None:
        return Use(order, texts, step)
    # A table's own fields come first: they hide inherited ones of the same name.
    known = {field.name: field for field in reversed(catalog.fields_of(table))}
    names = dict.fromkeys(fields_named(called, step, known))
    return Use(order, texts, step, table, tuple(known[name] for name in names if name in known))
