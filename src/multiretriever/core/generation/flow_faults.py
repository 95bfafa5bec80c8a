"""What is to be said against a chat model's answers when it writes a flow, in words that it is told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Element, Step, Table
from multiretriever.core.flow_references import find_steps, steps_of_kind
from multiretriever.core.flows import Flow
from multiretriever.core.generation.flow_forms import MAX_STEPS, Call, Outline
from multiretriever.core.generation.flow_state import FlowState
from multiretriever.core.names import similar_names
from multiretriever.grounding import Change, check_flow

_REFERENCE = re.compile(r"\{\{\s*(\d+)\b")
_LISTED = 12
_NEAR = 0.6
_LONGEST = 1_000
_OF_FIELDS = ("values", "conditions", "field")


def outline_faults(outline: Outline) -> tuple[str, ...]:
    """Returns what is wrong with an outline: no steps, too many, blocks that no earlier step opens."""
    faults = [] if outline.steps else ["the outline has no steps"]
    if len(outline.steps) > MAX_STEPS:
        faults.append(f"the outline has {len(outline.steps)} steps; at most {MAX_STEPS} are taken")
    for place, step in enumerate(outline.steps, start=1):
        if not 0 < len(step.annotation.strip()) <= _LONGEST:
            faults.append(f"the annotation of step {place} must have 1 to {_LONGEST} characters")
        if not 0 <= step.block < place:
            faults.append(f"step {place} stands in the block of step {step.block}, which is no earlier step")
    return tuple(faults)


def mend_outline(outline: Outline) -> tuple[Outline, tuple[Change, ...]]:
    """Returns an outline without the faults that are left after the last trial, and what was changed."""
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
    """Tells whether a step has to be given a table: it requires one, or fields are named in its inputs."""
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
        f"{name}: {{{{{number}}}}} speaks of step {number}, which is no earlier step"
        for name, number in _wrong_references(part, state)
    ]
    return (*findings, *later)


@dataclass(frozen=True)
class Opened:
    """A part whose inputs speak of earlier steps alone.

    Attributes:
        flow: A flow of the part.
        changes: Inputs that were left open since they spoke of others.
    """

    flow: Flow
    changes: tuple[Change, ...]


def open_references(part: Flow, state: FlowState) -> Opened:
    """Leaves the inputs open that speak of a step that is not there yet."""
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
