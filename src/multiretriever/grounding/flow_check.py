"""Checks the names in a flow against the catalog, and repairs those that do not exist.

The shares of hallucinated steps and tables are the measures of "Reducing hallucination in structured outputs via
Retrieval-Augmented Generation" (Béchard and Ayala, arXiv 2404.08189, section 4.2). A repair puts the nearest real name in the
place of each name that does not exist, or leaves it out, and reports each change; what it returns has no finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Step, StepInput, Table
from multiretriever.core.flow_references import (
    at_run_time,
    fields_named,
    find_steps,
    parse_conditions,
    steps_of_kind,
    tables_named,
)
from multiretriever.core.flows import Flow, FlowStep, Trigger
from multiretriever.core.names import similar_names

Kind = Literal["trigger", "step", "input", "missing input", "table", "field"]
Stand = Literal["trigger", "step"]
Suggest = Callable[[str, Stand], "str | None"]
_NEAR = 0.6
_OF_FIELDS = ("values", "conditions", "field")


@dataclass(frozen=True)
class Finding:
    """One name of a flow that is not in the catalog, or a required input that is not given.

    Attributes:
        kind: What it should be; ``missing input`` for a required input that is not given.
        name: The name.
        where: Its place: ``trigger`` or ``step 3``.
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
    """The result of checking a flow.

    Attributes:
        findings: All names that do not exist, and required inputs that are not given.
        steps: Number of steps in the flow, the trigger aside.
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
    def hallucinated(self) -> tuple[Finding, ...]:
        """Names that do not exist."""
        return tuple(item for item in self.findings if item.kind != "missing input")

    @property
    def hallucinated_step_share(self) -> float:
        """Share of the steps whose definition does not exist, 0 to 1; 0 for a flow without steps."""
        return self._share("step", self.steps)

    @property
    def hallucinated_table_share(self) -> float:
        """Share of the named tables that do not exist, 0 to 1; 0 for a flow without tables."""
        return self._share("table", self.tables)

    @property
    def hallucinated_field_share(self) -> float:
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
            return  # The source does not list its inputs.
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


@dataclass(frozen=True)
class Change:
    """One thing that was changed in what was generated.

    Attributes:
        where: Its place: ``trigger``, ``step 3``.
        kind: What it is: ``step``, ``table``, ``field``, ``input``, ...
        was: What was generated; blank where something was missing.
        now: What it is now; blank where it was left out.
    """

    where: str
    kind: str
    was: str
    now: str

    def __str__(self) -> str:
        if not self.was:
            return f"{self.where}: the {self.kind} {self.now!r} was missing"
        done = f"became {self.now!r}" if self.now else "was left out"
        return f"{self.where}: there is no {self.kind} {self.was!r}; it {done}"


def repair_flow(
    flow: Flow, catalog: Catalog, *, suggest: Suggest = lambda annotation, kind: None
) -> tuple[Flow, tuple[Change, ...]]:
    """Repairs the names in a flow.

    A definition, table, field or input becomes the real one whose name is most similar (Ratcliff-Obershelp similarity of at least
    0.6). Without one, a definition becomes what ``suggest`` returns; a step without any definition is left out, and what stood in
    its block moves up; a field or input is left out. A required input that is missing is left open: ``{{input.NAME}}``.

    Args:
        flow: The flow.
        catalog: What there is.
        suggest: Returns the id of a step for an annotation where no name is near, such as the best that is retrieved for it.

    Returns:
        The repaired flow, for which ``check_flow`` has no finding, and what was changed.
    """
    repairer = _Repairer(catalog, suggest)
    trigger = None if flow.trigger is None else repairer.call(flow.trigger, "trigger", "trigger")
    steps: list[FlowStep] = []
    moved: dict[int, int] = {}  # the block that the steps of a left-out block move to
    for step in flow.steps:
        repaired = repairer.call(step, "step", f"step {step.order}")
        block = moved.get(step.block, step.block)
        if repaired is None:
            moved[step.order] = block
        else:
            steps.append(repaired.model_copy(update={"block": block}))
    return flow.model_copy(update={"trigger": trigger, "steps": tuple(steps)}), tuple(repairer.changes)


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that is most similar, or None where none is similar enough."""
    return next(iter(similar_names(name, known, number=1, cutoff=_NEAR)), None)


@dataclass
class _Repairer:
    catalog: Catalog
    suggest: Suggest
    changes: list[Change] = field(default_factory=list)

    def call(self, called: Any, kind: Stand, where: str) -> Any:
        """Returns the trigger or step with real names; None where it has to be left out."""
        step, definition = self._definition(called, kind, where)
        if step is None:
            return None
        inputs = self._known_inputs(called.inputs, step, where) if step.inputs else dict(called.inputs)
        table = self._table(inputs, step, where)
        if table is not None:
            self._fields(inputs, step, table, where)
        else:
            self._without_fields(inputs, step, where)
        self._required(inputs, step, where)
        return called.model_copy(update={"definition": definition, "inputs": inputs})

    def _definition(self, called: FlowStep | Trigger, kind: Stand, where: str) -> tuple[Step | None, str]:
        """Returns the step, and what the flow calls it: a name that exists is kept as it is written."""
        name, trigger = called.definition or "", kind == "trigger"
        found = find_steps(self.catalog, name, trigger=trigger)
        if found:
            return found[0], name
        known = {item.id: item for item in steps_of_kind(self.catalog, trigger=trigger)}
        now = nearest_name(name, known) or self.suggest(called.annotation, kind)
        step = known.get(now or "")
        now = step.id if step else ""
        self._report(where, kind, name or "(none)", now)
        return step, now

    def _known_inputs(self, given: Mapping[str, Any], step: Step, where: str) -> dict[str, Any]:
        known = [item.name for item in step.inputs]
        kept = {name: value for name, value in given.items() if name in known}
        for name, value in given.items():
            if name not in known:
                now = nearest_name(name, (item for item in known if item not in kept))
                self._report(where, "input", name, now or "")
                if now:
                    kept[now] = value
        return kept

    def _table(self, inputs: dict[str, Any], step: Step, where: str) -> Table | None:
        """Returns the table whose fields are meant: that of the last input of type table, as for ``check_flow``."""
        table: Table | None = None
        for item in step.inputs:
            name = inputs.get(item.name)
            if item.type != "table" or not _is_name(name):
                continue
            table = next(iter(self.catalog.find("table", name)), None)
            if table is None:
                now = nearest_name(name, (item.name for item in self.catalog.of("table")))
                self._report(where, "table", name, now or "")
                self._put(inputs, item, now)
                table = next(iter(self.catalog.find("table", now)), None) if now else None
        return table

    def _without_fields(self, inputs: dict[str, Any], step: Step, where: str) -> None:
        """Leaves out what names fields where their table is not known."""
        tables = [item.name for item in step.inputs if item.type == "table"]
        if not tables or any(inputs.get(name) not in (None, "") for name in tables):
            return
        for item in step.inputs:
            value = inputs.get(item.name)
            if item.type in _OF_FIELDS and value and not (isinstance(value, str) and at_run_time(value)):
                names = ", ".join(fields_named(FlowStep(order=1, inputs={item.name: value}), step, ()))
                self._report(where, "table with the fields", names, "")
                del inputs[item.name]

    def _fields(self, inputs: dict[str, Any], step: Step, table: Table, where: str) -> None:
        known = [item.name for item in self.catalog.fields_of(table)]
        for item in step.inputs:
            value = inputs.get(item.name)
            if item.type == "values" and isinstance(value, dict):
                self._put(inputs, item, self._values(value, known, where))
            elif not _is_name(value):
                continue
            elif item.type == "conditions":
                self._put(inputs, item, self._conditions(value, known, where))
            elif item.type == "field" and value not in known:
                self._put(inputs, item, self._field(value, known, where))

    def _values(self, values: Mapping[str, Any], known: list[str], where: str) -> dict[str, Any]:
        kept = {name: value for name, value in values.items() if name in known}
        for name, value in values.items():
            if name not in known:
                now = self._field(name, [item for item in known if item not in kept], where)
                if now:
                    kept[now] = value
        return kept

    def _conditions(self, text: str, known: list[str], where: str) -> str:
        kept: list[str] = []
        for part in filter(str.strip, text.split("^")):
            condition = next(iter(parse_conditions(part, known)), None)
            if condition is None:
                continue
            name: str | None = condition.field
            if name not in known:
                # Text without a comparison is not repaired by another name.
                name = self._field(condition.field, known if condition.operator else (), where)
            if name:
                either = "OR" if part.startswith("OR") and kept else ""
                kept.append(f"{either}{name}{condition.operator}{condition.value}")
        return "^".join(kept)

    def _field(self, name: str, known: Iterable[str], where: str) -> str | None:
        now = nearest_name(name, known)
        self._report(where, "field", name, now or "")
        return now

    def _required(self, inputs: dict[str, Any], step: Step, where: str) -> None:
        for item in step.inputs:
            if item.required and inputs.get(item.name) in (None, ""):
                inputs[item.name] = f"{{{{input.{item.name}}}}}"
                self._report(where, "required input", "", item.name)

    def _put(self, inputs: dict[str, Any], item: StepInput, value: Any) -> None:
        if value or value == inputs.get(item.name):
            inputs[item.name] = value
        else:
            del inputs[item.name]

    def _report(self, where: str, kind: str, was: str, now: str) -> None:
        self.changes.append(Change(where, kind, was, now))


def _is_name(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value) and not at_run_time(value)
