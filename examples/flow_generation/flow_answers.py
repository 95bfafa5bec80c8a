"""What a chat model answers when it writes a flow: the forms of its answers, how far it is, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BeforeValidator, ConfigDict

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Element, Step, Table
from multiretriever.core.flow_references import find_steps, steps_of_kind
from multiretriever.core.flows import Flow
from multiretriever.core.names import similar_names
from multiretriever.core.yaml_io import resolve_scalars
from multiretriever.grounding import Change, FlowCheck, check_flow

MAX_STEPS = 40
_REFERENCE = re.compile(r"\{\{\s*(\d+)\b")
_LISTED = 12
_NEAR = 0.6
_LONGEST = 1_000
_OF_FIELDS = ("values", "conditions", "field")

Stage = Literal["outline", "call", "inputs", "done"]


class OutlineStep(pydantic.BaseModel):
    """One step of an outline.

    Attributes:
        annotation: What it does, in words.
        block: Number of the step in whose block it stands; 0 outside of any.
    """

    annotation: str
    block: int = 0


class Outline(pydantic.BaseModel):
    """What a flow is to do, before anything of it has a definition.

    Attributes:
        trigger: When it starts, in words; blank where the requirement does not say.
        steps: Its steps in order.
    """

    trigger: str = ""
    steps: list[OutlineStep]


class Call(pydantic.BaseModel):
    """Definition of the trigger or of a step.

    Attributes:
        definition: Id of the catalog's step.
        table: Name of the table that it works on; blank where it works on none.
    """

    definition: str
    table: str = ""


class FieldValue(pydantic.BaseModel):
    """A value of a field.

    Attributes:
        field: Name of the field.
        value: Its value.
    """

    field: str
    value: str


def _as_pairs(value: Any) -> Any:
    # Models that are held to a form list pairs, since a form cannot name fields of any table; others write a mapping.
    if isinstance(value, dict):
        return [{"field": str(name), "value": _as_words(item)} for name, item in value.items()]
    return value


def _as_words(value: Any) -> Any:
    plain = resolve_scalars(value)
    if isinstance(plain, list):
        return ", ".join(str(item) for item in plain)
    return value if isinstance(value, str) else str(plain) if isinstance(plain, int | float) else plain


_Words = Annotated[str | None, BeforeValidator(_as_words)]
_Values = Annotated[list[FieldValue] | None, BeforeValidator(_as_pairs)]


def inputs_form(step: Step) -> type[pydantic.BaseModel]:
    """Returns the form of a step's inputs: one key each; the table is not among them, it is chosen before."""
    fields: dict[str, Any] = {}
    for place, item in enumerate(step.inputs):
        if item.type == "table":
            continue
        kind = _Values if item.type == "values" else _Words
        words = f"{item.type}{', required' if item.required else ''}. {item.description}".strip()
        fields[f"input_{place}"] = (kind, pydantic.Field(default=None, alias=item.name, description=words))
    # A model that can be held to the form is held to its keys; of one that cannot, a wrong key must not cost the right ones.
    config = ConfigDict(extra="allow", title="Inputs", json_schema_extra={"additionalProperties": False})
    form: type[pydantic.BaseModel] = pydantic.create_model("Inputs", __config__=config, **fields)
    return form


def values_of(answer: pydantic.BaseModel) -> dict[str, Any]:
    """Returns the inputs of an answer as a flow has them, with keys that are no inputs."""
    given = {field.alias or name: getattr(answer, name) for name, field in type(answer).model_fields.items()}
    values = {name: _as_mapping(value) for name, value in given.items() if value is not None}
    return {**values, **(answer.model_extra or {})}


def _as_mapping(value: Any) -> Any:
    return {pair.field: pair.value for pair in value} if isinstance(value, list) else value


@dataclass(frozen=True)
class FlowState:
    """Where the writing of a flow stands. Immutable: each answer makes the next state.

    Attributes:
        requirement: What was asked for.
        stage: What is asked next: the ``outline``, the definition and table of a part (``call``), its ``inputs``; or ``done``.
        flow: The flow so far.
        outline: The outline; None before it is there.
        place: The part that is next: 0 for the trigger, from 1 for the steps.
        call: What was chosen for that part; None before.
        changes: What was changed in answers.
    """

    requirement: str
    stage: Stage
    flow: Flow
    outline: Outline | None = None
    place: int = 0
    call: Call | None = None
    changes: tuple[Change, ...] = ()

    @property
    def where(self) -> str:
        """The part that is next, in words."""
        return f"step {self.place}" if self.place else "trigger"

    @property
    def annotation(self) -> str:
        """Annotation of the part that is next; blank where none is."""
        if self.outline is None or self.stage == "done":
            return ""
        return self.outline.steps[self.place - 1].annotation if self.place else self.outline.trigger

    @property
    def progress(self) -> str:
        """What is being done, in one line."""
        if self.outline is None:
            return "outline"
        if self.stage == "done":
            return "done"
        count = len(self.outline.steps)
        where = f"step {self.place} of {count}" if self.place else "trigger"
        chosen = f": {self.call.definition}{f' on {self.call.table}' if self.call.table else ''}" if self.call else ""
        return f"{where} ({self.annotation}){chosen}"


@dataclass(frozen=True)
class WrittenFlow:
    """A flow that was generated.

    Attributes:
        flow: The flow.
        check: What checking it against the catalog gave.
        changes: What was changed in what the model wrote.
    """

    flow: Flow
    check: FlowCheck
    changes: tuple[Change, ...] = ()


def outline_faults(outline: Outline) -> tuple[str, ...]:
    """Returns what is wrong with an outline: no steps, too many, blocks that no earlier step opens."""
    faults = [] if outline.steps else ["the outline has no steps"]
    if len(outline.steps) > MAX_STEPS:
        faults.append(f"the outline has {len(outline.steps)} steps; at most {MAX_STEPS} are taken")
    for place, step in enumerate(outline.steps, start=1):
        if not 0 < len(step.annotation.strip()) <= _LONGEST:
            faults.append(f"the annotation of step {place} must have 1 to {_LONGEST} characters")
        if not 0 <= step.block < place:
            faults.append(f"step {place} is in the block of step {step.block}, which is no earlier step")
    return tuple(faults)


def mend_outline(outline: Outline) -> tuple[Outline, tuple[Change, ...]]:
    """Returns an outline without the faults that remain after the last trial, and what was changed."""
    changes = []
    steps = outline.steps[:MAX_STEPS]
    if len(steps) < len(outline.steps):
        changes.append(Change("outline", "room for the steps after", str(MAX_STEPS), ""))
    mended = []
    for place, step in enumerate(steps, start=1):
        block = step.block if 0 <= step.block < place else 0
        if block != step.block:
            changes.append(Change(f"step {place}", "earlier step that opens block", str(step.block), str(block)))
        annotation = step.annotation.strip()[:_LONGEST] or "(not said)"
        mended.append(step.model_copy(update={"annotation": annotation, "block": block}))
    return Outline(trigger=outline.trigger.strip()[:_LONGEST], steps=mended), tuple(changes)


def works_on_table(step: Step) -> bool:
    """Returns whether a step needs a table: it requires one, or fields are named in its inputs."""
    of_table = [item for item in step.inputs if item.type == "table"]
    return bool(of_table) and (any(item.required for item in of_table) or any(item.type in _OF_FIELDS for item in step.inputs))


def call_faults(
    call: Call, candidates: Sequence[Step], tables: Sequence[Table], catalog: Catalog, *, trigger: bool
) -> tuple[str, ...]:
    """Returns what is wrong with a choice of definition and table."""
    found = find_steps(catalog, call.definition, trigger=trigger)
    kind = "trigger" if trigger else "step"
    if not found:
        near = similar_names(call.definition, (item.id for item in steps_of_kind(catalog, trigger=trigger)), cutoff=_NEAR)
        hint = f" (near to it: {', '.join(near)})" if near else ""
        return (f"there is no {kind} {call.definition!r}{hint}; candidates: {_listed(candidates)}",)
    if not works_on_table(found[0]):
        return ()
    if not call.table:
        return (f"{found[0].id} works on a table, and none is given; candidates: {_listed(tables)}",)
    if not catalog.find("table", call.table):
        return (f"there is no table {call.table!r}; candidates: {_listed(tables)}",)
    return ()


def input_faults(part: Flow, state: FlowState, catalog: Catalog) -> tuple[str, ...]:
    """Returns what is wrong with the inputs of a part: names that do not exist, and references to what comes later."""
    findings = [str(finding) for finding in check_flow(part, catalog).findings]
    later = [
        f"{name}: {{{{{number}}}}} refers to step {number}, which is no earlier step"
        for name, number in _wrong_references(part, state)
    ]
    return (*findings, *later)


@dataclass(frozen=True)
class Opened:
    """A part whose inputs refer to earlier steps alone.

    Attributes:
        flow: A flow of the part.
        changes: Inputs that were left open since they refer to others.
    """

    flow: Flow
    changes: tuple[Change, ...]


def open_references(part: Flow, state: FlowState) -> Opened:
    """Leaves the inputs open that refer to a step that is not there yet."""
    wrong = _wrong_references(part, state)
    if not wrong:
        return Opened(part, ())
    called: Any = part.trigger or part.steps[0]
    opened = {name: f"{{{{input.{name}}}}}" for name, _ in wrong}
    called = called.model_copy(update={"inputs": {**called.inputs, **opened}})
    changes = tuple(Change(state.where, "earlier step with the number", str(number), opened[name]) for name, number in wrong)
    update = {"trigger": called} if part.trigger else {"steps": (called,)}
    return Opened(part.model_copy(update=update), changes)


def _wrong_references(part: Flow, state: FlowState) -> list[tuple[str, int]]:
    held = {step.order for step in state.flow.steps}
    called: Any = part.trigger or part.steps[0]
    return [
        (name, int(number))
        for name, value in called.inputs.items()
        for number in dict.fromkeys(match for text in _texts(value) for match in _REFERENCE.findall(text))
        if int(number) not in held
    ]


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _listed(elements: Sequence[Element]) -> str:
    return ", ".join(item.name if isinstance(item, Table) else item.id for item in elements[:_LISTED]) or "none"
