"""Drafting a flow from a requirement without any language model: rules over what is retrieved.

The requirement is split into clauses; each is matched to a step, its table and its fields by retrieval. Only names that were
retrieved go into the flow, so that all of them exist.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multiretriever.core.catalog import Catalog
from multiretriever.core.clauses import Action, Clause, outline
from multiretriever.core.elements import Field, Step, Table
from multiretriever.core.flows import Flow, FlowStep, Trigger
from multiretriever.core.grounding import FlowCheck, check_flow
from multiretriever.core.names import split_words
from multiretriever.core.retriever import MultiRetriever

# What the catalog's general steps on records are looked for by.
_RECORD_STEPS: Mapping[Action, str] = {
    "find": "look up records of a table",
    "create": "create record: add a row to a table",
    "update": "update a record",
    "delete": "delete a record",
}
_LOOP_STEP = "for each record of a list"
_BRANCH_STEP = "if: run the nested steps only when the condition holds"
_WEEKDAY = re.compile(r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b", re.IGNORECASE)
_EMPTY = re.compile(r"(?:\b(?:do|does|did|have|has)\s*(?:not|n't)\s+have|\bwithout|\bwith no|\bhav(?:e|ing) no|\bhas no|\bno)\s+"
                    r"(?:an?\s+|any\s+)?([\w ]+?)(?=$|,|\.| and | or )", re.IGNORECASE)  # fmt: skip
_OLDER = re.compile(r"older than (\d+ (?:day|week|month|hour)s?)", re.IGNORECASE)
_TARGET = re.compile(r"\bto (?:the )?(.+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Draft:
    """A drafted flow.

    Attributes:
        flow: The flow.
        check: What checking it against the catalog gave.
    """

    flow: Flow
    check: FlowCheck


def draft_flow(retriever: MultiRetriever, requirement: str, *, catalog: Catalog | None = None) -> Draft:
    """Drafts a flow.

    Args:
        retriever: Retriever over an index with steps, tables and fields.
        requirement: What is asked for, in English words.
        catalog: The catalog of the index; None to read it back from there.

    Raises:
        QueryError: The requirement is empty, not text, or too long.
        StoreError: The index cannot be read.
    """
    retriever.prompt(requirement, "step")  # Checks the requirement as every query is checked.
    catalog = catalog or retriever.index.catalog()
    drafter = _Drafter(retriever, catalog)
    plan = outline(requirement)
    trigger = drafter.trigger(plan.trigger) if plan.trigger else None
    for clause in plan.clauses:
        drafter.add(clause)
    flow = Flow(requirement=requirement, trigger=trigger, steps=tuple(drafter.steps))
    return Draft(flow, check_flow(flow, catalog))


@dataclass
class _Drafter:
    retriever: MultiRetriever
    catalog: Catalog
    steps: list[FlowStep] = field(default_factory=list)
    # The table that "them" and "it" speak of, the step whose records they are, and the block that they are looped over in.
    table: Table | None = None
    source: FlowStep | None = None
    loop: int = 0
    condition: str = ""
    branch: int = 0

    def trigger(self, words: str) -> Trigger:
        found = self._step(f"{words} (weekly)" if _WEEKDAY.search(words) else words, "trigger")
        if found is None:
            return Trigger(annotation=words)
        inputs = self._inputs(found, Clause(words), self._table(words))
        if "table" in inputs:
            self.table = self._table(words)
        return Trigger(annotation=words, definition=found.id, inputs=inputs)

    def add(self, clause: Clause) -> None:
        table = self.table if clause.refers and self.table else self._table(clause.object or clause.text) or self.table
        block = self._block(clause)
        step = self._choose(clause, table)
        if step is None:
            return
        if clause.action in ("update", "delete") and self._loops(clause, step):
            block = self._open_loop(clause)
        self._append(clause.text, step, block, self._inputs(step, clause, table))
        if clause.action == "find":
            self.table, self.source, self.loop = table, self.steps[-1], 0

    def _choose(self, clause: Clause, table: Table | None) -> Step | None:
        words = f"{clause.verb} {split_words(table.title)}" if clause.refers and table else clause.text
        found = self._step(words, "action")
        general = _RECORD_STEPS.get(clause.action)
        # A clause on records needs a special step only where one is named after just what it does.
        if general and not (found and table and _named_after(found, clause, table)):
            return self._step(general, "action") or found
        return found

    def _step(self, words: str, kind: str) -> Step | None:
        hits = self.retriever.retrieve(words, "step", k=1, where={"kind": kind}, context={"text": "annotation"})
        return hits[0].element if hits else None

    def _table(self, words: str) -> Table | None:
        if not words or "table" not in self.retriever.index.manifest.types:
            return None
        tables: list[Table] = [hit.element for hit in self.retriever.retrieve(words, "table", context={"text": "annotation"})]
        # A table that is named in so many words is meant, and of several the one with the longest name.
        named = [item for item in tables if _mentions(words, item.title)]
        return max(named, key=lambda item: len(item.title)) if named else next(iter(tables), None)

    def _field(self, words: str, table: Table) -> Field | None:
        names = dict.fromkeys(item.table for item in self.catalog.fields_of(table))
        hits = [
            hit
            for name in names
            for hit in self.retriever.retrieve(words, "field", k=1, where={"table": name}, context={"table": name})
        ]
        return max(hits, key=lambda hit: hit.score).element if hits else None

    def _block(self, clause: Clause) -> int:
        if clause.condition != self.condition:
            self.condition, self.branch = clause.condition, 0
            step = self._step(_BRANCH_STEP, "logic") if clause.condition else None
            if step is not None:
                self._append(f"if {clause.condition}", step, self.loop, {_condition_input(step): clause.condition})
                self.branch = self.steps[-1].order
        return self.branch or (self.loop if clause.refers or clause.each else 0)

    def _loops(self, clause: Clause, step: Step) -> bool:
        one_record = any(item.type == "record" for item in step.inputs)
        return self.source is not None and (clause.refers or clause.each) and one_record and not self.branch

    def _open_loop(self, clause: Clause) -> int:
        step = None if self.loop else self._step(_LOOP_STEP, "logic")
        if step is not None and self.source is not None:
            records = {item.name: f"{{{{{self.source.order}.records}}}}" for item in step.inputs if item.type == "records"}
            title = self.table.title.lower() if self.table else "record"
            self._append(f"for each {title} found", step, 0, records)
            self.loop = self.steps[-1].order
        return self.loop

    def _append(self, annotation: str, step: Step, block: int, inputs: dict[str, Any]) -> None:
        order = len(self.steps) + 1
        self.steps.append(FlowStep(annotation=annotation, definition=step.id, order=order, block=block, inputs=inputs))

    def _inputs(self, step: Step, clause: Clause, table: Table | None) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for item in step.inputs:
            value = self._value(item.type, clause, table) if item.required or item.type == "conditions" else None
            if value or item.required:
                # What nothing in the requirement speaks of is left open, to be filled in by a person.
                values[item.name] = value or f"{{{{input.{item.name}}}}}"
        return values

    def _value(self, kind: str, clause: Clause, table: Table | None) -> Any:
        if kind == "record":
            return self._record()
        if kind == "records":
            return f"{{{{{self.source.order}.records}}}}" if self.source else None
        if table is None:
            return None
        if kind == "table":
            return table.name
        if kind == "conditions":
            return self._conditions(clause, table)
        return self._values(clause, table) if kind == "values" else None

    def _record(self) -> str:
        if self.loop:
            return f"{{{{{self.loop}.item}}}}"
        return f"{{{{{self.source.order}.record}}}}" if self.source else "{{trigger.record}}"

    def _conditions(self, clause: Clause, table: Table) -> str | None:
        parts = []
        if (match := _EMPTY.search(clause.text)) and (found := self._field(match.group(1), table)):
            parts.append(f"{found.name}ISEMPTY")
        fields = self.catalog.fields_of(table)
        if (match := _OLDER.search(clause.text)) and (found := _first_date(fields)):
            parts.append(f"{found.name}BEFORE{match.group(1)} ago")
        words = set(re.findall(r"[a-z]+", clause.object.lower())) - set(split_words(table.title).lower().split())
        parts += [f"{item.name}={choice}" for item in fields for choice in item.choices if choice.lower() in words][:1]
        return "^".join(parts) or None

    def _values(self, clause: Clause, table: Table) -> dict[str, Any] | None:
        fields = self.catalog.fields_of(table)
        stem = clause.verb.removesuffix("e")
        for item in fields:
            for choice in item.choices:
                if clause.verb and choice.lower().startswith(stem):
                    return {item.name: choice}
        if clause.verb in ("assign", "set", "move", "reassign") and (match := _TARGET.search(clause.text)):
            found = self._field(f"{clause.verb} {match.group(1)}", table)
            return {found.name: match.group(1)} if found else None
        return None


def _named_after(step: Step, clause: Clause, table: Table) -> bool:
    name = set(split_words(step.title).lower().split())
    things = {word for word in split_words(table.title).lower().split() if len(word) > 2}
    return clause.verb in " ".join(sorted(name)).split() and things <= name


def _mentions(text: str, title: str) -> bool:
    return re.search(rf"\b{re.escape(split_words(title))}(?:s|es)?\b", text, re.IGNORECASE) is not None


def _condition_input(step: Step) -> str:
    return next((item.name for item in step.inputs if item.required), "condition")


def _first_date(fields: tuple[Field, ...]) -> Field | None:
    dates = [item for item in fields if item.data_type in ("datetime", "date")]
    return next((item for item in dates if "updated" in item.name or "opened" in item.name), dates[0] if dates else None)
