"""Flows: workflows in the YAML form of the multi-task retriever paper (arXiv 2501.04652, section 3).

A flow has a requirement, a trigger and ordered steps. A step has an annotation (what it is for, in words), a definition (the id
of the catalog's step), its inputs, its order from 1, and its block: the order of the for-each or if that it is in, 0 outside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, TypeVar

import pydantic
from pydantic import ConfigDict

from multiretriever.core.errors import FlowError, Problem
from multiretriever.core.records import problems_of
from multiretriever.core.yaml_io import Document, dump_yaml, parse_yaml, read_text, resolve_scalars

MAX_STEPS = 10_000
# Dates are what other YAML readers make of text that looks like one; they are written as that text.
_PLAIN = (str, int, float, bool, type(None), dict, list, date, time)


def _resolve(value: Any) -> Any:
    """Resolves the free values of a flow and refuses those that neither YAML nor JSON brings back."""
    resolved = resolve_scalars(value)
    stack = [resolved]
    while stack:
        item = stack.pop()
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError(f"{item} cannot be written; only finite numbers can")
        if isinstance(item, str) and not item.isascii() and item.encode("utf-8", "ignore").decode() != item:
            raise ValueError(f"half of a surrogate pair is no character (in {item!r})")
        if not isinstance(item, _PLAIN):
            raise ValueError(f"{item!r} is of type {type(item).__name__}; expected plain values (text, numbers, lists, ...)")
        if isinstance(item, dict):
            stack += [*item, *item.values()]
        elif isinstance(item, list):
            stack += item
    return resolved


class _FlowPart(pydantic.BaseModel):
    # Keys that are not known here are kept, so that a flow written by another tool comes back whole.
    model_config = ConfigDict(frozen=True, extra="allow")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _resolve_extras(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        known = cls.model_fields
        return {key: value if key in known else _resolve(value) for key, value in values.items()}


class _Called(_FlowPart):
    @pydantic.field_validator("inputs", mode="before", check_fields=False)
    @classmethod
    def _resolve_inputs(cls, value: Any) -> Any:
        return _resolve(value) or {}


class Trigger(_Called):
    """What starts a flow.

    Attributes:
        annotation: When the flow starts, in words.
        definition: Id of the catalog's step of kind ``trigger``; None while it is not known.
        inputs: Values given to it, by the name of the input.
        paraphrases: Other people's annotations for the same.
    """

    annotation: str = ""
    definition: str | None = None
    inputs: dict[str, Any] = pydantic.Field(default_factory=dict)
    paraphrases: tuple[str, ...] = ()


class FlowStep(_Called):
    """One step of a flow.

    Attributes:
        annotation: What the step is for, in words.
        definition: Id of the catalog's step; None while it is not known.
        order: Its place in the flow, from 1.
        block: Order of the step (for each, if, ...) whose block it is in; 0 at the top level.
        inputs: Values given to it, by the name of the input.
        paraphrases: Other people's annotations for the same.
    """

    annotation: str = ""
    definition: str | None = None
    order: int = pydantic.Field(ge=1)
    block: int = pydantic.Field(default=0, ge=0)
    inputs: dict[str, Any] = pydantic.Field(default_factory=dict)
    paraphrases: tuple[str, ...] = ()


_CalledT = TypeVar("_CalledT", Trigger, FlowStep)


class Flow(_FlowPart):
    """A workflow: what it is for, what starts it, and its steps in order.

    Attributes:
        name: Name as the system knows it.
        label: Name as people read it.
        scope: Namespace that it belongs to.
        description: What it does, in the words of whoever stored it.
        requirement: What somebody asked for, in words.
        paraphrases: The same requirement in the words of others.
        trigger: What starts it; None while it is not known.
        steps: Its steps, by ascending order.
    """

    name: str = ""
    label: str = ""
    scope: str = ""
    description: str = ""
    requirement: str = ""
    paraphrases: tuple[str, ...] = ()
    trigger: Trigger | None = None
    steps: tuple[FlowStep, ...] = ()

    @pydantic.field_validator("steps", mode="before")
    @classmethod
    def _number_steps(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        if len(value) > MAX_STEPS:
            raise ValueError(f"{len(value)} steps; at most {MAX_STEPS} are read")
        return [
            {**step, "order": index} if isinstance(step, dict) and step.get("order") is None else step
            for index, step in enumerate(value, start=1)
        ]

    @pydantic.field_validator("steps")
    @classmethod
    def _check_steps(cls, steps: tuple[FlowStep, ...]) -> tuple[FlowStep, ...]:
        seen: set[int] = set()
        last = 0
        for step in steps:
            if step.order <= last:
                raise ValueError(f"order {step.order} follows order {last}; orders must ascend and be unique")
            if step.block and step.block not in seen:
                raise ValueError(f"step {step.order} is in block {step.block}, which no earlier step opens")
            seen.add(step.order)
            last = step.order
        return steps

    @classmethod
    def from_yaml(cls, text: str, *, source: str = "<text>") -> Flow:
        """Reads one flow.

        Raises:
            FlowError: The text is not one valid flow; the error lists every problem with its line.
        """
        flows = parse_flows(text, source=source)
        if len(flows) != 1:
            raise FlowError([Problem(f"expected one flow, got {len(flows)}", source)])
        return flows[0]

    def to_yaml(self) -> str:
        """Writes the flow; ``from_yaml`` reads it back."""
        return dump_yaml(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Returns the flow as plain values, without those that were not given."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def so_far(self, order: int) -> Flow:
        """Returns the flow up to and without the step of the given order: what is known before that step is chosen.

        The description and other people's wordings are not: they are written when a flow is done.
        """
        before = tuple(_without_paraphrases(step) for step in self.steps if step.order < order)
        trigger = None if self.trigger is None else _without_paraphrases(self.trigger)
        return self.model_copy(update={"steps": before, "trigger": trigger, "description": "", "paraphrases": ()})


def _without_paraphrases(part: _CalledT) -> _CalledT:
    return part.model_copy(update={"paraphrases": ()}) if part.paraphrases else part


def parse_flows(text: str, *, source: str = "<text>") -> list[Flow]:
    """Reads a YAML stream of flows, one a document (or a list of flows in one document).

    Raises:
        FlowError: Something is wrong; the error lists every problem with its line, and nothing is read.
    """
    documents = parse_yaml(text, source)
    if isinstance(documents, Problem):
        raise FlowError([documents])
    flows: list[Flow] = []
    problems: list[Problem] = []
    for document in documents:
        _parse_document(document, source, flows, problems)
    if not documents:
        problems.append(Problem("the file is empty; expected a flow", source))
    if problems:
        raise FlowError(problems)
    return flows


def _parse_document(document: Document, source: str, flows: list[Flow], problems: list[Problem]) -> None:
    many = isinstance(document.value, list)
    for index, value in enumerate(document.value if many else [document.value]):
        prefix: tuple[str | int, ...] = (index,) if many else ()
        try:
            flows.append(Flow.model_validate(value))
        except pydantic.ValidationError as error:
            problems.extend(problems_of(error, source=source, line=document.line, prefix=prefix))


def read_flows(path: str | Path) -> list[Flow]:
    """Reads the flows of a YAML file, or of every ``*.yaml`` and ``*.yml`` file below a folder, by name.

    Raises:
        FlowError: Something is wrong in any file; the error lists every problem, and nothing is read.
    """
    path = Path(path)
    files = sorted(file for suffix in ("*.yaml", "*.yml") for file in path.rglob(suffix)) if path.is_dir() else [path]
    flows: list[Flow] = []
    problems: list[Problem] = []
    for file in files:
        text = read_text(file)
        try:
            if isinstance(text, Problem):
                raise FlowError([text])
            flows.extend(parse_flows(text, source=str(file)))
        except FlowError as error:
            problems.extend(error.problems)
    if problems:
        raise FlowError(problems)
    return flows


def write_flows(path: str | Path, flows: Iterable[Flow] | Sequence[Flow]) -> None:
    """Writes flows to one YAML file, one a document."""
    Path(path).write_text("---\n".join(flow.to_yaml() for flow in flows), encoding="utf-8")
