"""A flow drafted by retrieval alone: what is found for each clause of a requirement, put together.

The way of "Multi-task retriever fine-tuning for domain-specific and efficient RAG" (arXiv 2501.04652, section 3) without its
language model: each clause gets its best step, table and fields. It is where a person or a chat model can start from. The short
lists of words below are all that it knows of a language.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from multiretriever.core.catalog import Catalog
from multiretriever.core.clauses import Clause, split_clauses
from multiretriever.core.elements import Step, Table
from multiretriever.core.flow_references import Condition, write_conditions
from multiretriever.core.flows import Flow, FlowStep, Trigger
from multiretriever.core.names import split_words
from multiretriever.core.query import check_query
from multiretriever.core.retriever import Hit, MultiRetriever
from multiretriever.grounding.flow_check import FlowCheck, check_flow, repair_flow

MAX_CLAUSES = 200
"""What a requirement asks for beyond so many clauses is not drafted."""

_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun|week)?day|weekend|morning|evening|night"
_UNIT = rf"(?:(?:\w+ )?(?:{_DAY}|hour|week|month|quarter|year)s?)"
_TRIGGER = re.compile(
    rf"\b(?:when(?:ever)?|as soon as|(?:each|every) (?:time|{_UNIT})|(?:once|twice) (?:an?|per|every) {_UNIT}|"
    rf"(?:hour|dai|night|week|month|quarter|year)ly)\b",
    re.IGNORECASE,
)
_EACH = re.compile(r"\b(?:each|every|for all|all of)\b", re.IGNORECASE)
_LOOP = frozenset({"each", "every", "foreach", "loop", "iterate", "repeat"})
# Fields of a clause at most, and the share of the best one's score that each further one needs.
_FIELDS, _NEAR = 3, 0.9
_OF_FIELDS = frozenset({"conditions", "values", "field"})
_LISTS = frozenset({"records", "list", "array"})


@dataclass(frozen=True)
class DraftPart:
    """A clause of the requirement, and what was found for it.

    Attributes:
        clause: The clause.
        step: The step that fits it best: a trigger for the clause that tells when the flow starts; None where there is none.
        table: The table that it works on; None where the step takes none.
        fields: Fields of that table, best first; empty where the step takes none.
    """

    clause: Clause
    step: Hit | None = None
    table: Hit | None = None
    fields: tuple[Hit, ...] = ()


@dataclass(frozen=True)
class Draft:
    """A drafted flow.

    Attributes:
        parts: The clauses with what was found for them, in the order of the requirement.
        flow: The flow. Every name in it exists.
        check: What checking it against the catalog found: nothing.
    """

    parts: tuple[DraftPart, ...]
    flow: Flow
    check: FlowCheck


def draft_flow(retriever: MultiRetriever, requirement: str, *, catalog: Catalog | None = None) -> Draft:
    """Drafts a flow: for each clause of a requirement its best step, table and fields, in one batch for each element type.

    Values that nothing is known of are left open as ``{{input.NAME}}``.

    Args:
        retriever: Retriever over an index with steps; tables and fields are used where it has them.
        requirement: What the flow is to do.
        catalog: The catalog of the index; None to read it from there.

    Raises:
        QueryError: The requirement is empty, not text, or too long.
        StoreError: The index cannot be read.
    """
    requirement = check_query(requirement)
    catalog = catalog or retriever.index.catalog()
    finder = _Finder(retriever, catalog)
    parts = finder.fields(finder.tables(finder.steps(split_clauses(requirement)[:MAX_CLAUSES])))
    flow = _Writer(catalog).flow(requirement, parts)
    # Names from an index that is not of this catalog, and names that read as operators, do not pass.
    flow, _ = repair_flow(flow, catalog)
    return Draft(parts, flow, check_flow(flow, catalog))


class _Finder:
    """Finds steps, then tables, then fields, for all clauses at once."""

    def __init__(self, retriever: MultiRetriever, catalog: Catalog) -> None:
        self._retriever = retriever
        self._catalog = catalog
        self._held = retriever.index.manifest.types

    def steps(self, clauses: Sequence[Clause]) -> tuple[DraftPart, ...]:
        triggers = sum(step.kind == "trigger" for step in self._catalog.of("step"))
        found = list(zip(clauses, self._find(clauses, "step", k=triggers + 1), strict=True))
        start = next((clause for clause, hits in found if _TRIGGER.search(clause.text) or _is_trigger(hits)), None)
        parts = []
        for clause, hits in found:
            if clause is start:
                known = self._find([clause], "step", k=1, where={"kind": "trigger"})[0] if triggers else []
                parts.append(DraftPart(clause, next(iter(known), None)))
                # "Every day" says when and nothing else; "close old tickets every Friday" says what to do as well.
                if len(clauses) > 1 and (_TRIGGER.match(clause.text) or _is_trigger(hits)):
                    continue
            parts.append(DraftPart(clause, next((hit for hit in hits if hit.element.kind != "trigger"), None)))
        return tuple(parts)

    def tables(self, parts: Sequence[DraftPart]) -> tuple[DraftPart, ...]:
        places = [place for place, part in enumerate(parts) if "table" in _types(part)]
        found = dict(zip(places, self._find([parts[place].clause for place in places], "table", k=1), strict=True))
        return tuple(replace(part, table=next(iter(found.get(place, ())), None)) for place, part in enumerate(parts))

    def fields(self, parts: Sequence[DraftPart]) -> tuple[DraftPart, ...]:
        places: dict[str, list[int]] = defaultdict(list)
        for place, part in enumerate(parts):
            if part.table and _types(part) & _OF_FIELDS:
                places[part.table.element.name].append(place)
        found: dict[int, tuple[Hit, ...]] = {}
        # The fields of another table are no answers, so each table is searched by itself.
        for name, same in places.items():
            clauses = [parts[place].clause for place in same]
            hits = self._find(clauses, "field", k=_FIELDS, where={"table": name}, context={"table": name})
            found.update(zip(same, map(_best, hits), strict=True))
        return tuple(replace(part, fields=found.get(place, ())) for place, part in enumerate(parts))

    def _find(self, clauses: Sequence[Clause], kind: str, **options: Any) -> list[list[Hit]]:
        if kind not in self._held or not clauses:
            return [[] for _ in clauses]
        context = {"text": "annotation", **options.pop("context", {})}
        return self._retriever.retrieve_batch([clause.text for clause in clauses], kind, context=context, **options)


def _types(part: DraftPart) -> set[str]:
    return {item.type for item in part.step.element.inputs} if part.step else set()


def _is_trigger(hits: Sequence[Hit]) -> bool:
    return bool(hits) and bool(hits[0].element.kind == "trigger")


def _best(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    return tuple(hit for hit in hits if hit.score >= _NEAR * hits[0].score)


class _Writer:
    """Writes the parts of a flow."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._loop: Step | None = next(filter(_is_loop, catalog.of("step")), None)

    def flow(self, requirement: str, parts: Iterable[DraftPart]) -> Flow:
        trigger: Trigger | None = None
        steps: list[FlowStep] = []
        for part in parts:
            if part.step and part.step.element.kind == "trigger":
                trigger = Trigger(annotation=part.clause.text, definition=part.step.id, inputs=self._inputs(part))
            elif part.step:
                steps += self._steps(part, part.step, steps)
        return Flow(requirement=requirement, trigger=trigger, steps=tuple(steps))

    def _steps(self, part: DraftPart, hit: Hit, before: Sequence[FlowStep]) -> list[FlowStep]:
        """Returns the step of a clause; before it a loop, where the clause says so. What follows stays in the loop's block."""
        text, order, loop = part.clause.text, len(before) + 1, self._loop
        records = f"{{{{{order - 1}.records}}}}" if before else ""
        block = self._block(before)
        if loop and hit.id == loop.id:
            return [FlowStep(annotation=text, definition=loop.id, order=order, inputs=self._inputs(part, records))]
        if loop and before and not block and _EACH.search(text):
            opened = self._steps(replace(part, step=replace(hit, element=loop)), replace(hit, element=loop), before)
            return opened + self._steps(part, hit, [*before, *opened])
        inputs = self._inputs(part, records, f"{{{{{block}.item}}}}" if block else "")
        return [FlowStep(annotation=text, definition=hit.id, order=order, block=block, inputs=inputs)]

    def _block(self, before: Sequence[FlowStep]) -> int:
        if before and self._loop and before[-1].definition == self._loop.id:
            return before[-1].order
        return before[-1].block if before else 0

    def _inputs(self, part: DraftPart, records: str = "", record: str = "") -> dict[str, object]:
        """Returns what is known of the inputs of a step, and a place that is left open for each other one that is required."""
        table: Table | None = part.table.element if part.table else None
        own = {field.name for field in self._catalog.fields_of(table)} if table else set()
        fields = [hit.element.name for hit in part.fields if hit.element.name in own]
        known: dict[str, object] = {
            "table": self._name(table) if table else "",
            "conditions": write_conditions(Condition(name, "=", _left_open(name)) for name in fields),
            "values": {name: _left_open(name) for name in fields},
            "record": record,
            **dict.fromkeys(_LISTS, records),
        }
        inputs = {}
        for item in part.step.element.inputs if part.step else ():
            # What to sort or group by is not for the draft to say, unless the step needs it.
            guess = known.get(item.type) or (fields[0] if fields and item.type == "field" and item.required else "")
            value = guess or (_left_open(item.name) if item.required else "")
            if value:
                inputs[item.name] = value
        return inputs

    def _name(self, table: Table) -> str:
        """Returns the name of a table; its id where tables of several scopes have the name."""
        return table.name if [item.id for item in self._catalog.find("table", table.name)[:1]] == [table.id] else table.id


def _is_loop(step: Step) -> bool:
    words = split_words(step.title).casefold().split()
    return step.kind == "logic" and not _LOOP.isdisjoint(words) and any(item.type in _LISTS for item in step.inputs)


def _left_open(name: str) -> str:
    return f"{{{{input.{name}}}}}"
