"""What the inputs of a flow's step name: its table, and the fields of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from multiretriever.core.catalog import Catalog
from multiretriever.core.conditions import parse_conditions
from multiretriever.core.elements import Step
from multiretriever.core.flows import FlowStep, Trigger

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
    """Gives the names of tables in the inputs of a step (its inputs of type ``table``), as they stand there."""
    for item in step.inputs:
        name = called.inputs.get(item.name)
        if item.type == "table" and isinstance(name, str) and name and not at_run_time(name):
            yield name


def fields_named(called: Called, step: Step, known: Collection[str]) -> Iterator[str]:
    """Gives the names of fields in the inputs of a step: in its values, its conditions, and where a field is due.

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
