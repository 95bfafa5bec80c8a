"""Examples of every kind that the multi-task retriever paper (arXiv 2501.04652, section 3) makes of flows, and of descriptions.

All steps of a requirement; a step from its annotation; the next step from the flow so far; tables and fields from requirement,
annotation and flow so far; whole workflows from a requirement. Each kind is named after the instruction template that it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Element, Field, Workflow, element_type
from multiretriever.core.example import Example
from multiretriever.core.flow_references import Use, uses
from multiretriever.core.flows import Flow


@dataclass(frozen=True)
class _FlowFacts:
    """A flow and everything that queries are made of."""

    flow: Flow
    uses: list[Use]
    workflow: Workflow | None
    requirements: tuple[str, ...] = field(init=False)
    begun: dict[int, Flow] = field(default_factory=dict, init=False)

    def so_far(self, order: int) -> Flow:
        """Returns the flow before a step; several kinds of queries ask for the same."""
        if order not in self.begun:
            self.begun[order] = self.flow.so_far(order)
        return self.begun[order]

    def __post_init__(self) -> None:
        texts = (text.strip() for text in (self.flow.requirement, *self.flow.paraphrases))
        object.__setattr__(self, "requirements", tuple(dict.fromkeys(filter(None, texts))))


_Made = tuple[str, dict[str, Any], list[Element]]
_Maker = Callable[[_FlowFacts], Iterator[_Made]]
_MAKERS: dict[str, _Maker] = {}


def _kind(name: str) -> Callable[[_Maker], _Maker]:
    def register(maker: _Maker) -> _Maker:
        _MAKERS[name] = maker
        return maker

    return register


def _steps(facts: _FlowFacts) -> list[Element]:
    return [use.step for use in facts.uses if use.step is not None]


def _tables(facts: _FlowFacts) -> list[Element]:
    return [use.table for use in facts.uses if use.table is not None]


def _fields(facts: _FlowFacts) -> list[Element]:
    return [item for use in facts.uses for item in use.fields]


def _by_requirement(name: str, elements: Callable[[_FlowFacts], list[Element]], *keys: str) -> None:
    """Registers a kind: the elements of a requirement, or with ``keys`` those that share the values of these attributes."""

    def make(facts: _FlowFacts) -> Iterator[_Made]:
        groups: dict[tuple[Any, ...], list[Element]] = {}
        for item in elements(facts):
            groups.setdefault(tuple(getattr(item, key) for key in keys), []).append(item)
        for text in facts.requirements:
            for values, items in groups.items():
                context = {"type" if key == "kind" else key: value for key, value in zip(keys, values, strict=True) if value}
                if len(context) == len(keys):
                    yield text, context, items

    _MAKERS[name] = make


_by_requirement("step.requirement", _steps)
_by_requirement("step.requirement.scope", _steps, "scope")
_by_requirement("step.requirement.scope.type", _steps, "scope", "kind")
_by_requirement("table.requirement", _tables)
_by_requirement("table.requirement.scope", _tables, "scope")
_by_requirement("field.requirement", _fields)
_by_requirement("field.requirement.scope", _fields, "scope")


@_kind("field.table")
def _field_table(facts: _FlowFacts) -> Iterator[_Made]:
    by_table: dict[str, list[Element]] = {}
    for use in facts.uses:
        if use.table is not None:
            by_table.setdefault(use.table.name, []).extend(use.fields)
    for text in facts.requirements:
        for table, items in by_table.items():
            yield text, {"table": table}, items


@_kind("workflow.requirement")
def _workflow_requirement(facts: _FlowFacts) -> Iterator[_Made]:
    if facts.workflow is not None:
        for text in facts.requirements:
            yield text, {}, [facts.workflow]


def _by_annotation(name: str, element_type: str, *keys: str) -> None:
    """Registers a kind: what a step uses, by each of its annotations, with what ``keys`` say of it."""

    def make(facts: _FlowFacts) -> Iterator[_Made]:
        for use in facts.uses:
            items = _used(use, element_type)
            # The trigger has nothing before it; a flow so far ends before a step.
            if not items or ("flow" in keys and use.order == 0):
                continue
            known = _known(facts, use, items[0], keys)
            if all(known.values()):
                yield from ((text, {"text": "annotation", **known}, items) for text in use.annotations)

    _MAKERS[name] = make


def _used(use: Use, element_type: str) -> list[Element]:
    if element_type == "field":
        return list(use.fields)
    item = use.step if element_type == "step" else use.table
    return [] if item is None else [item]


def _known(facts: _FlowFacts, use: Use, item: Element, keys: Iterable[str]) -> dict[str, Any]:
    values: dict[str, Callable[[], Any]] = {
        "scope": lambda: item.scope,
        "requirement": lambda: facts.flow.requirement,
        "table": lambda: use.table.name if use.table is not None else None,
        "flow": lambda: facts.so_far(use.order),
    }
    return {key: values[key]() for key in keys}


_by_annotation("step.annotation", "step")
_by_annotation("step.annotation.scope", "step", "scope")
_by_annotation("step.annotation.requirement", "step", "requirement")
_by_annotation("step.flow", "step", "flow")
_by_annotation("step.flow.scope", "step", "scope", "flow")
_by_annotation("table.annotation", "table")
_by_annotation("table.annotation.requirement", "table", "requirement")
_by_annotation("table.flow", "table", "flow")
_by_annotation("field.table.annotation", "field", "table")
_by_annotation("field.table.requirement", "field", "table", "requirement")
_by_annotation("field.table.flow", "field", "table", "flow")


@_kind("workflow.flow")
def _workflow_flow(facts: _FlowFacts) -> Iterator[_Made]:
    """A stored workflow from the first half of its steps: what somebody has who is about to build it again."""
    steps = facts.flow.steps
    if facts.workflow is not None and len(steps) > 1:
        begun = facts.flow.so_far(steps[len(steps) // 2].order).model_copy(update={"name": "", "label": "", "requirement": ""})
        for text in facts.requirements:
            yield text, {"flow": begun}, [facts.workflow]


_USED: dict[str, Callable[[_FlowFacts], list[Element]]] = {"step": _steps, "table": _tables, "field": _fields}

FLOW_KINDS: tuple[str, ...] = tuple(_MAKERS)
"""All kinds of queries that are made of flows, by the template that they are for."""

EVALUATED_KINDS: tuple[str, ...] = (
    "step.requirement",
    "step.annotation",
    "step.flow",
    "table.requirement",
    "table.annotation",
    "table.flow",
    "field.table",
    "field.table.annotation",
    "field.table.flow",
    "workflow.requirement",
)
"""The kinds that an evaluation is made of: those that say nothing but what an application knows when it asks."""


class FlowExamples:
    """Makes queries of flows."""

    def __init__(self, catalog: Catalog, kinds: Collection[str] = FLOW_KINDS, *, language: str = "en") -> None:
        """Prepares to make queries.

        Args:
            catalog: What the flows use.
            kinds: Kinds to make; those that are not made of flows are left to others.
            language: Language of the flows, as an ISO 639-1 code.
        """
        self._language = language
        self._catalog = catalog
        self._workflows = {(item.scope, item.name): item for item in catalog.of("workflow")}
        self._kinds = [kind for kind in FLOW_KINDS if kind in kinds]

    def of(self, flow: Flow, number: int) -> Iterator[Example]:
        """Yields the queries of a flow whose answers are all in the catalog.

        Args:
            flow: The flow.
            number: Its place in the dataset, from 0, which keeps ids unique where names are not.
        """
        facts = _FlowFacts(flow, uses(flow, self._catalog), self._workflows.get((flow.scope, flow.name)))
        used = {name: tuple(dict.fromkeys(item.id for item in find(facts))) for name, find in _USED.items()}
        for kind in self._kinds:
            element_type = kind.partition(".")[0]
            for index, (text, context, items) in enumerate(_MAKERS[kind](facts)):
                relevant = tuple(dict.fromkeys(item.id for item in items))
                if relevant:
                    name = f"{flow.name or 'flow'}-{number}#{kind}#{index}"
                    nearby = tuple(item for item in used.get(element_type, ()) if item not in relevant)
                    yield Example(name, element_type, text, relevant, context, kind, self._language, nearby)


# What the query's text is taken for, by type; for other types it is a requirement.
_KINDS = {
    "step": "step.annotation",
    "table": "table.annotation",
    "catalog_item": "catalog_item.description",
    "workflow": "workflow.requirement",
    "field": "field.table.annotation",
}
# Kinds with a template that also names the scope.
_SCOPED = ("catalog_item.description", "any")


def element_examples(catalog: Catalog, types: Iterable[str], *, language: str = "en") -> Iterator[Example]:
    """Yields a query for every element of some types that has a description.

    These are the rows of databases of the paper (arXiv 2501.04652, section 3), looked for by what is written about them. The
    description is hidden from the element's text, since a document that holds the query teaches and measures nothing.

    Raises:
        ElementTypeError: There is no such type.
    """
    for name in types:
        kind = element_type(name).name
        for element in catalog.of(kind):
            if not element.description:
                continue
            for made, context in _ways(element):
                yield Example(
                    id=f"{element.id}#{'description.scope' if 'scope' in context else 'description'}",
                    element_type=kind,
                    query=element.description,
                    relevant=(element.id,),
                    context=context,
                    kind=made,
                    language=language,
                    hidden=("description",),
                )


def _ways(element: Element) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields the kinds of queries that a description makes, each with its context."""
    made = _KINDS.get(element.element_type, "any")
    if isinstance(element, Field):
        yield made, {"table": element.table, "text": "annotation"}
        return
    yield made, {"text": "annotation"} if made.endswith("annotation") else {}
    if made in _SCOPED and element.scope:
        yield f"{made}.scope", {"scope": element.scope}
