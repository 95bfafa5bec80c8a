"""What the steps of a flow use of a catalog: definitions, tables, fields."""

from __future__ import annotations

from dataclasses import dataclass

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Field, Step, Table
from multiretriever.core.flows import Flow, FlowStep, Trigger
from multiretriever.core.usage import fields_named, tables_named


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
