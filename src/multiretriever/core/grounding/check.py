"""Checking a flow against the catalog: which of the names in it exist, which do not, and what is near to those.

The shares of made-up steps and tables are the measures of "Reducing hallucination in structured outputs via
Retrieval-Augmented Generation" (Béchard and Ayala, arXiv 2404.08189, section 4.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Step, Table
from multiretriever.core.flows import Flow, FlowStep, Trigger
from multiretriever.core.names import similar_names
from multiretriever.core.usage import fields_named, find_steps, steps_of_kind, tables_named

Kind = Literal["trigger", "step", "input", "missing input", "table", "field"]


@dataclass(frozen=True)
class Finding:
    """One name of a flow that the catalog does not bear out.

    Attributes:
        kind: What it should be; ``missing input`` for a required input that is not given.
        name: The name.
        where: Where it stands: ``trigger`` or ``step 3``.
        nearest: The most similar real names, most similar first.
    """

    kind: Kind
    name: str
    where: str
    nearest: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "missing input":
            return f"{self.where}: the required input {self.name!r} is not given"
        hint = f" (near to it: {', '.join(self.nearest)})" if self.nearest else ""
        return f"{self.where}: there is no {self.kind} {self.name!r}{hint}"


@dataclass(frozen=True)
class FlowCheck:
    """What checking a flow gave.

    Attributes:
        findings: All names that do not exist, and required inputs that are not given.
        steps: Number of definitions in the flow, the trigger's left out.
        tables: Number of tables named in the flow.
        fields: Number of fields named in the flow, of tables that exist.
    """

    findings: tuple[Finding, ...]
    steps: int
    tables: int
    fields: int = 0

    @property
    def valid(self) -> bool:
        """Whether every name exists and every required input is given."""
        return not self.findings

    @property
    def made_up(self) -> tuple[Finding, ...]:
        """Names that do not exist."""
        return tuple(item for item in self.findings if item.kind != "missing input")

    @property
    def made_up_step_share(self) -> float:
        """Share of the steps whose definition does not exist, 0 to 1; 0 for a flow without steps."""
        return self._share("step", self.steps)

    @property
    def made_up_table_share(self) -> float:
        """Share of the named tables that do not exist, 0 to 1; 0 for a flow without tables."""
        return self._share("table", self.tables)

    @property
    def made_up_field_share(self) -> float:
        """Share of the named fields that their table, which exists, does not have, 0 to 1; 0 for a flow without fields."""
        return self._share("field", self.fields)

    def _share(self, kind: Kind, total: int) -> float:
        return sum(item.kind == kind for item in self.findings) / total if total else 0.0


def check_flow(flow: Flow, catalog: Catalog) -> FlowCheck:
    """Checks the names in a flow: trigger, definitions, inputs, tables, and the fields in conditions and values.

    Values that are filled in at run time (``{{1.record}}``) are not looked into.
    """
    checker = _Checker(catalog)
    if flow.trigger is not None:
        checker.call(flow.trigger, "trigger", "trigger")
    for step in flow.steps:
        checker.call(step, "step", f"step {step.order}")
    return FlowCheck(tuple(checker.findings), len(flow.steps), checker.tables, checker.fields)


class _Checker:
    def __init__(self, catalog: Catalog) -> None:
        self.findings: list[Finding] = []
        self.tables = self.fields = 0
        self._catalog = catalog

    def call(self, called: FlowStep | Trigger, kind: Kind, where: str) -> None:
        trigger = kind == "trigger"
        found = find_steps(self._catalog, called.definition or "", trigger=trigger)
        if not found:
            names = (item.id for item in steps_of_kind(self._catalog, trigger=trigger))
            self._add(kind, called.definition or "", where, names)
            return
        step = found[0]
        self._inputs(called, step, where)
        self._tables(called, step, where)

    def _inputs(self, called: FlowStep | Trigger, step: Step, where: str) -> None:
        if not step.inputs:
            return  # The source says nothing of its inputs.
        known = [item.name for item in step.inputs]
        for name in called.inputs:
            if name not in known:
                self._add("input", name, where, known)
        for item in step.inputs:
            if item.required and called.inputs.get(item.name) in (None, ""):
                self.findings.append(Finding("missing input", item.name, where))

    def _tables(self, called: FlowStep | Trigger, step: Step, where: str) -> None:
        found: Table | None = None
        for name in tables_named(called, step):
            self.tables += 1
            found = next(iter(self._catalog.find("table", name)), None)
            if found is None:
                self._add("table", name, where, (item.name for item in self._catalog.of("table")))
        if found is not None:
            known = [field.name for field in self._catalog.fields_of(found)]
            for name in fields_named(called, step, known):
                self.fields += 1
                if name not in known:
                    self._add("field", name, where, known)

    def _add(self, kind: Kind, name: str, where: str, known: Iterable[str]) -> None:
        self.findings.append(Finding(kind, name, where, similar_names(name, known)))
