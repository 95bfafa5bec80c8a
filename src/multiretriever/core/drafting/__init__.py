"""Drafting a flow from a requirement without any language model: rules over what is retrieved.

The requirement is split into clauses; each is matched to a step, its table and its fields by retrieval. Only names that are in
the catalog go into the flow, so that all of them exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from multiretriever.core.catalog import Catalog
from multiretriever.core.drafting.drafter import Drafter
from multiretriever.core.drafting.outline import outline
from multiretriever.core.flows import Flow, FlowStep, Trigger
from multiretriever.core.retriever import MultiRetriever
from multiretriever.grounding import FlowCheck, check_flow

__all__ = ["MAX_CLAUSES", "Draft", "assemble", "draft_flow", "iter_draft"]

# What a requirement says beyond that many things to do is not drafted.
MAX_CLAUSES = 200


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
    catalog = catalog or retriever.index.catalog()
    return assemble(requirement, iter_draft(retriever, requirement, catalog=catalog), catalog)


def assemble(requirement: str, parts: Iterable[Trigger | FlowStep], catalog: Catalog) -> Draft:
    """Puts the parts that ``iter_draft`` gives together, and checks the whole."""
    drafted = list(parts)
    trigger = next((part for part in drafted if isinstance(part, Trigger)), None)
    steps = tuple(part for part in drafted if isinstance(part, FlowStep))
    flow = Flow(requirement=requirement, trigger=trigger, steps=steps)
    return Draft(flow, check_flow(flow, catalog))


def iter_draft(retriever: MultiRetriever, requirement: str, *, catalog: Catalog | None = None) -> Iterator[Trigger | FlowStep]:
    """Drafts a flow part by part: first its trigger, where there is one, then each step, in order.

    Args:
        retriever: As for ``draft_flow``.
        requirement: As for ``draft_flow``.
        catalog: As for ``draft_flow``.

    Raises:
        QueryError, StoreError: See ``draft_flow``.
    """
    retriever.prompt(requirement, "step")  # Checks the requirement as every query is checked.
    return _parts(retriever, requirement, catalog or retriever.index.catalog())


def _parts(retriever: MultiRetriever, requirement: str, catalog: Catalog) -> Iterator[Trigger | FlowStep]:
    if "step" not in retriever.index.manifest.types:
        return
    drafter = Drafter(retriever, catalog)
    plan = outline(requirement, drafter.roles.verbs)
    trigger = drafter.trigger(plan.trigger) if plan.trigger else None
    if trigger is not None:
        yield trigger
    plan = replace(plan, clauses=plan.clauses[:MAX_CLAUSES])
    drafter.prepare(requirement, plan)
    for clause in plan.clauses:
        yield from drafter.add(clause)
