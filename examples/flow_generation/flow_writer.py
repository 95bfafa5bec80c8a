"""A flow, written by a chat model question by question: outline, then for each part its definition and table, then its inputs.

The way of "Reducing hallucination in structured outputs via Retrieval-Augmented Generation" (Béchard and Ayala, arXiv 2404.08189,
section 3) and of "Multi-task retriever fine-tuning for domain-specific and efficient RAG" (arXiv 2501.04652, section 3): each
question brings what was retrieved for it. Names in answers are checked; what does not exist after the last trial becomes the
nearest real name, or is left out, and the state says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flow_answers import (
    Call,
    FlowState,
    Outline,
    WrittenFlow,
    call_faults,
    input_faults,
    inputs_form,
    mend_outline,
    open_references,
    outline_faults,
    values_of,
    works_on_table,
)
from multiretriever.core import (
    Catalog,
    Element,
    Field,
    Flow,
    FlowError,
    FlowStep,
    MultiRetriever,
    ParameterError,
    Step,
    Table,
    Trigger,
)
from multiretriever.core.flow_references import find_steps, steps_of_kind, tables_named
from multiretriever.grounding import Change, check_flow, repair_flow
from multiretriever.grounding.dialogue import (
    MAX_TRIALS,
    AsyncChat,
    Chat,
    Dialogue,
    Reading,
    aconverse,
    converse,
    data_block,
    data_blocks,
    entry,
    fenced,
    read_answer,
)
from multiretriever.grounding.flow_check import nearest_name

EXAMPLES = 2
STEPS, TRIGGERS, TABLES, FIELDS = 15, 5, 5, 25
_CALLS = 8
_PROMPTS = Path(__file__).parent / "prompts"

Progress = Callable[[FlowState], None]


def write_flow(
    chat: Chat, questions: FlowQuestions, requirement: str, *, on_progress: Progress = lambda state: None
) -> WrittenFlow:
    """Lets a chat model write a flow, grounded in what is retrieved for each part of it.

    Args:
        chat: The chat model: ``chat_with(model)`` of the LangChain or the LlamaIndex portion.
        questions: What is asked, over which index.
        requirement: What is asked for.
        on_progress: Called with each state.

    Returns:
        The flow. Every name in it exists; ``changes`` says what was changed for that.

    Raises:
        QueryError: The requirement is empty, not text, or too long.
        LLMError: The model cannot be reached, or none of its answers was an outline.
        StoreError: The index cannot be read.
    """
    state = questions.start(requirement)
    while state.stage != "done":
        on_progress(state)
        dialogue = questions.question(state)
        converse(dialogue, chat)
        state = questions.take(state, dialogue)
    on_progress(state)
    return questions.finish(state)


async def awrite_flow(
    chat: AsyncChat, questions: FlowQuestions, requirement: str, *, on_progress: Progress = lambda state: None
) -> WrittenFlow:
    """``write_flow`` for an awaited model; retrieval runs in threads."""
    state = questions.start(requirement)
    while state.stage != "done":
        on_progress(state)
        dialogue = await asyncio.to_thread(questions.question, state)
        await aconverse(dialogue, chat)
        state = await asyncio.to_thread(questions.take, state, dialogue)
    on_progress(state)
    return questions.finish(state)


def flow_alone(requirement: str, *, trials: int = MAX_TRIALS) -> Dialogue[Flow]:
    """Returns the question for a flow without any grounding, to measure against: what a model makes up when it is shown nothing.

    Only the form of an answer is checked; names are taken as they come.
    """

    def read(text: str) -> Reading[Flow]:
        try:
            flow = Flow.from_yaml(fenced(text), source="answer")
        except FlowError as error:
            return Reading(None, tuple(str(problem) for problem in error.problems))
        return Reading(flow.model_copy(update={"requirement": requirement}), () if flow.steps else ("the flow has no steps",))

    return Dialogue(_prompt("flow_alone"), data_block("requirement", requirement), read, trials=trials)


def _prompt(name: str) -> str:
    return (_PROMPTS / f"{name}.md").read_text(encoding="utf-8")


class FlowQuestions:
    """Asks for a flow. Holds no state of a flow: states go in and come out, so one object serves many flows at once."""

    def __init__(
        self,
        retriever: MultiRetriever,
        *,
        catalog: Catalog | None = None,
        examples: int = EXAMPLES,
        without: Collection[str] = (),
        stored: Mapping[str, Flow] | None = None,
        trials: int = MAX_TRIALS,
    ) -> None:
        """Makes it.

        Args:
            retriever: Retriever over an index with steps; tables, fields and workflows are used where it has them.
            catalog: The catalog of the index; None to read it back from there.
            examples: Stored workflows for similar requirements that are shown with the outline.
            without: Ids and names of stored workflows that are not shown.
            stored: Flows by the names of workflows, for catalogs whose workflows do not hold them.
            trials: Answers to a question at most.

        Raises:
            ParameterError: ``examples`` is negative or ``trials`` is below 1.
            StoreError: The index cannot be read.
        """
        if examples < 0 or trials < 1:
            raise ParameterError(f"expected at least 0 examples and 1 trial, got {examples} and {trials}")
        self.catalog = catalog or retriever.index.catalog()
        self._retriever = retriever
        self._trials = trials
        self._candidates = FlowCandidates(retriever, self.catalog, examples=examples, without=without, stored=stored or {})

    def start(self, requirement: str) -> FlowState:
        """Returns the state before the first question.

        Raises:
            QueryError: The requirement is empty, not text, or too long.
        """
        self._retriever.prompt(requirement, "step")  # checks the requirement as every query is checked
        return FlowState(requirement, "outline", Flow(requirement=requirement))

    def question(self, state: FlowState) -> Dialogue[Any]:
        """Returns the next question.

        Raises:
            ParameterError: The flow is done.
            StoreError: The index cannot be read.
        """
        if state.stage == "outline":
            return self._outline(state)
        if state.stage == "call":
            return self._call(state)
        if state.stage == "inputs":
            return self._inputs(state)
        raise ParameterError("the flow is done; there is no next question")

    def take(self, state: FlowState, dialogue: Dialogue[Any]) -> FlowState:
        """Returns the state after a question was answered.

        Raises:
            LLMError: No answer to the outline could be read.
        """
        if state.stage == "outline":
            outline, changes = mend_outline(dialogue.result())
            place = 0 if outline.trigger else 1
            return replace(state, stage="call", outline=outline, place=place, changes=state.changes + changes)
        if state.stage == "call":
            return self._take_call(state, dialogue.reading)
        return self._add(state, dialogue.reading.value or {}, answered=dialogue.reading.value is not None)

    def finish(self, state: FlowState) -> WrittenFlow:
        """Returns the flow as far as it is there, checked. Every name in it exists."""
        flow, changes = repair_flow(state.flow, self.catalog)
        return WrittenFlow(flow, check_flow(flow, self.catalog), state.changes + changes)

    def _outline(self, state: FlowState) -> Dialogue[Outline]:
        found = self._candidates.for_outline(state.requirement)
        blocks = {name: entries(elements) for name, elements in found.items() if elements}
        examples = self._candidates.examples(state.requirement)
        if examples:
            blocks["stored_workflows"] = examples

        def read(text: str) -> Reading[Outline]:
            return read_answer(text, Outline, outline_faults)

        return self._dialogue("flow_outline", {"requirement": state.requirement, **blocks}, read, Outline)

    def _call(self, state: FlowState) -> Dialogue[Call]:
        candidates = self._calls(state)
        tables = self._candidates.tables(state.requirement, state.annotation, state.flow)
        blocks: dict[str, Any] = {"candidates": entries(candidates)}
        if tables:
            blocks["tables"] = entries(tables)

        def read(text: str) -> Reading[Call]:
            return read_answer(
                text, Call, lambda call: call_faults(call, candidates, tables, self.catalog, trigger=not state.place)
            )

        return self._dialogue("flow_call", {**self._known(state), **blocks}, read, Call)

    def _inputs(self, state: FlowState) -> Dialogue[dict[str, Any]]:
        step, call = self._chosen(state)
        form = inputs_form(step)
        blocks: dict[str, Any] = {"definition": _definition(step)}
        table = next(iter(self.catalog.find("table", call.table)), None) if call.table else None
        if table is not None:
            blocks["fields"] = entries(self._candidates.fields(table, state.requirement, state.annotation))

        def read(text: str) -> Reading[dict[str, Any]]:
            reading = read_answer(text, form)
            if reading.value is None:
                return Reading(None, reading.faults)
            inputs = values_of(reading.value)
            return Reading(inputs, input_faults(self._part(state, inputs), state, self.catalog))

        return self._dialogue("flow_inputs", {**self._known(state), "table": call.table, **blocks}, read, form)

    def _dialogue(self, prompt: str, blocks: dict[str, Any], read: Any, schema: Any) -> Dialogue[Any]:
        return Dialogue(_prompt(prompt), data_blocks(blocks), read, schema=schema, trials=self._trials)

    def _known(self, state: FlowState) -> dict[str, Any]:
        block = state.outline.steps[state.place - 1].block if state.outline and state.place else 0
        part = {"part": state.where, "annotation": state.annotation} | ({"stands in the block of step": block} if block else {})
        values = {key: value for key, value in state.flow.to_dict().items() if key != "requirement"}
        return {"requirement": state.requirement, "workflow_so_far": values, "part": part}

    def _calls(self, state: FlowState) -> list[Step]:
        return self._candidates.calls(state.requirement, state.annotation, state.flow, trigger=not state.place)

    def _take_call(self, state: FlowState, reading: Reading[Call]) -> FlowState:
        call, changes = self._mended(state, reading)
        state = replace(state, call=call, changes=state.changes + changes)
        if call is None:
            return _next(state)
        step, _ = self._chosen(state)
        if all(item.type == "table" for item in step.inputs):
            return self._add(state, {})
        return replace(state, stage="inputs")

    def _mended(self, state: FlowState, reading: Reading[Call]) -> tuple[Call | None, tuple[Change, ...]]:
        """Returns a definition and a table that exist, whatever was answered; no definition where nothing was retrieved."""
        call, kind = reading.value, "step" if state.place else "trigger"
        if call is not None and not reading.faults:
            return call, ()
        candidates = self._calls(state)
        was = call.definition if call else ""
        changes: list[Change] = []
        step = next(iter(find_steps(self.catalog, was, trigger=not state.place)), None)
        if step is None:
            known = {item.id: item for item in steps_of_kind(self.catalog, trigger=not state.place)}
            step = known.get(nearest_name(was, known) or "") or next(iter(candidates), None)
            changes.append(Change(state.where, kind, was or "(no answer that can be used)", step.id if step else ""))
        if step is None:
            return None, tuple(changes)
        table = ""
        if works_on_table(step):
            tables = [item.name for item in self._candidates.tables(state.requirement, state.annotation, state.flow)]
            was = call.table if call else ""
            found = self.catalog.find("table", was) if was else ()
            table = found[0].name if found else nearest_name(was, tables) or next(iter(tables), "")
            if not found:
                changes.append(Change(state.where, "table", was, table))
        return Call(definition=step.id, table=table), tuple(changes)

    def _chosen(self, state: FlowState) -> tuple[Step, Call]:
        call = state.call or Call(definition="")
        (step, *_) = find_steps(self.catalog, call.definition, trigger=not state.place)
        return step, call

    def _part(self, state: FlowState, inputs: dict[str, Any]) -> Flow:
        """Returns a flow of the one part, as it would stand in the flow."""
        step, call = self._chosen(state)
        tables = {item.name: call.table for item in step.inputs if item.type == "table" and call.table}
        values = {"annotation": state.annotation, "definition": step.id, "inputs": {**tables, **inputs}}
        if not state.place:
            return Flow(trigger=Trigger.model_validate(values))
        return Flow(steps=(FlowStep.model_validate({**values, "order": state.place}),))

    def _add(self, state: FlowState, inputs: dict[str, Any], *, answered: bool = True) -> FlowState:
        part = open_references(self._part(state, inputs), state)
        mended, changes = repair_flow(part.flow, self.catalog)
        if not answered:
            changes = (Change(state.where, "answer on its inputs", "(no answer that can be used)", ""), *changes)
        changes = (*state.changes, *part.changes, *changes)
        if not state.place:
            return _next(replace(state, flow=state.flow.model_copy(update={"trigger": mended.trigger}), changes=changes))
        held = {step.order for step in state.flow.steps}
        block = state.outline.steps[state.place - 1].block if state.outline else 0
        steps = tuple(step.model_copy(update={"block": block if block in held else 0}) for step in mended.steps)
        flow = state.flow.model_copy(update={"steps": (*state.flow.steps, *steps)})
        return _next(replace(state, flow=flow, changes=changes))


def _next(state: FlowState) -> FlowState:
    last = state.outline is None or state.place >= len(state.outline.steps)
    return replace(state, stage="done" if last else "call", place=state.place + (not last), call=None)


def _definition(step: Step) -> dict[str, Any]:
    inputs = {
        item.name: " ".join([item.type, "(required)" if item.required else "", item.description]).strip()
        for item in step.inputs
        if item.type != "table"
    }
    return entry(step) | {"inputs": inputs}


class FlowCandidates:
    """Retrieves what a chat model is shown."""

    def __init__(
        self,
        retriever: MultiRetriever,
        catalog: Catalog,
        *,
        examples: int,
        without: Collection[str],
        stored: Mapping[str, Flow],
    ) -> None:
        """Makes it.

        Args:
            retriever: Retriever over an index with steps.
            catalog: The catalog of the index.
            examples: Stored workflows that are shown with the outline.
            without: Ids and names of stored workflows that are not shown.
            stored: Flows by the names of workflows that do not hold them.
        """
        self._retriever = retriever
        self._catalog = catalog
        self._examples = examples
        self._without = frozenset(without)
        self._stored = stored
        self._held = retriever.index.manifest.types

    def for_outline(self, requirement: str) -> dict[str, list[Element]]:
        """Returns steps (triggers first) and tables for a whole requirement."""
        triggers = self._elements(requirement, "step", k=TRIGGERS, where={"kind": "trigger"})
        return {
            "steps": _unique([*triggers, *self._elements(requirement, "step", k=STEPS)]),
            "tables": self._elements(requirement, "table", k=TABLES),
        }

    def examples(self, requirement: str) -> list[dict[str, Any]]:
        """Returns the stored workflows for similar requirements, as plain values."""
        if not self._examples:
            return []
        found = self._elements(requirement, "workflow", k=self._examples + len(self._without))
        kept = [item for item in found if not {item.id, item.name} & self._without]
        flows = [item.flow or self._stored.get(item.name) for item in kept]
        return [_shown(flow) for flow in flows if flow is not None][: self._examples]

    def calls(self, requirement: str, annotation: str, flow: Flow, *, trigger: bool) -> list[Step]:
        """Returns candidates for a part: for its annotation alone, and for it after the flow so far."""
        if trigger:
            return self._elements(
                annotation or requirement, "step", k=_CALLS, where={"kind": "trigger"}, context={"text": "annotation"}
            )
        contexts: list[dict[str, Any]] = [{"text": "annotation"}, {"text": "annotation", "flow": flow}]
        lists = self._retriever.retrieve_batch([annotation] * 2, "step", k=_CALLS + TRIGGERS, context=contexts)
        found = [[hit.element for hit in hits if hit.element.kind != "trigger"][:_CALLS] for hits in lists]
        return _unique(item for items in found for item in items)

    def tables(self, requirement: str, annotation: str, flow: Flow) -> list[Table]:
        """Returns candidates for the table of a part: those that the flow works on already, then those that are retrieved."""
        used = [table for called in _called(flow) for table in self._tables_of(called)]
        found = self._elements(
            annotation or requirement, "table", k=TABLES, context={"text": "annotation", "requirement": requirement}
        )
        return _unique([*used, *found])

    def fields(self, table: Table, requirement: str, annotation: str) -> list[Field]:
        """Returns the fields of a table, its parents' too; of many, those that are retrieved."""
        known = list(self._catalog.fields_of(table))
        if len(known) <= FIELDS or "field" not in self._held:
            return known[:FIELDS]
        context = {"text": "annotation", "table": table.name, "requirement": requirement}
        return self._elements(annotation or requirement, "field", k=FIELDS, where={"table": table.name}, context=context)

    def _tables_of(self, called: Any) -> list[Table]:
        steps: tuple[Step, ...] = self._catalog.find("step", called.definition)[:1] if called.definition else ()
        return [table for step in steps for name in tables_named(called, step) for table in self._catalog.find("table", name)[:1]]

    def _elements(self, query: str, element_type: str, **options: Any) -> list[Any]:
        if element_type not in self._held:
            return []
        return [hit.element for hit in self._retriever.retrieve(query, element_type, **options)]


def _called(flow: Flow) -> list[Any]:
    return [*([flow.trigger] if flow.trigger else []), *flow.steps]


def _unique(items: Iterable[Any]) -> list[Any]:
    return list({item.id: item for item in items}.values())


def _shown(flow: Flow) -> dict[str, Any]:
    """A stored workflow without the values of its inputs: what is done in which order, by which definitions."""
    steps = [_part(step) | ({"block": step.block} if step.block else {}) for step in flow.steps]
    trigger = {} if flow.trigger is None else {"trigger": _part(flow.trigger)}
    return {"requirement": flow.requirement or flow.description, **trigger, "steps": steps}


def _part(called: FlowStep | Any) -> dict[str, Any]:
    return {"annotation": called.annotation, "definition": called.definition}


def entries(elements: Iterable[Element]) -> list[dict[str, Any]]:
    """Returns what a chat model is shown of elements."""
    return [entry(element) for element in elements]
