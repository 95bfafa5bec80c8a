"""What is retrieved for each question when a flow is written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Element, Field, Step, Table
from multiretriever.core.flow_references import tables_named
from multiretriever.core.flows import Flow, FlowStep
from multiretriever.core.retriever import MultiRetriever
from multiretriever.grounding.dialogue import entry

STEPS, TRIGGERS, TABLES, FIELDS = 15, 5, 5, 25
_CALLS = 8


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
