"""Checking the flows of a dataset against its catalog: names, orders and blocks, outputs used before they exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from multiretriever.core.catalog import Catalog
from multiretriever.core.datasets.dataset import Dataset
from multiretriever.core.flows import Flow, FlowStep
from multiretriever.core.grounding import check_flow

# The logic of the platform by the name of its definition, whatever the scope.
_ELSE = ("else", "else_if")
_AFTER = ("if", "else_if")
_OUTPUT = re.compile(r"\{\{(\d+)\.")


def check_dataset(dataset: Dataset, split: str | None = None) -> Iterator[str]:
    """Gives everything that is wrong in the flows and written queries of a dataset, in a line each.

    Checked are names (see ``check_flow``), that triggers and steps have annotations, that a block is opened by a step of kind
    ``logic``, that an else follows its if, that no step uses the output of a later one, and that every answer of a written query
    is in the catalog.

    Raises:
        DatasetError, FlowError: A file is not valid.
        ParameterError: There is no such split.
    """
    for flow in dataset.flows(split):
        yield from (f"flow {flow.name!r}: {problem}" for problem in check_structure(flow, dataset.catalog))
    for example in dataset.given(split):
        for item in example.relevant:
            if dataset.catalog.get(example.element_type, item) is None:
                yield f"query {example.id!r}: the catalog has no {example.element_type} {item!r}"


def check_structure(flow: Flow, catalog: Catalog) -> Iterator[str]:
    """Gives everything that is wrong in a flow: made-up names, blocks, outputs, missing wording."""
    yield from map(str, check_flow(flow, catalog).findings)
    if flow.trigger is not None and not flow.trigger.annotation.strip():
        yield "trigger: has no annotation"
    kinds = {step.order: _kind(step, catalog) for step in flow.steps}
    for step in flow.steps:
        where = f"step {step.order}"
        if not step.annotation.strip():
            yield f"{where}: has no annotation"
        if step.block and kinds[step.block] not in ("logic", None):
            yield f"{where}: its block {step.block} is opened by an action"
        late = sorted(
            {int(number) for number in _OUTPUT.findall(json.dumps(step.inputs, default=str)) if int(number) >= step.order}
        )
        yield from (f"{where}: uses the output of step {number}, which is not there yet" for number in late)
        if _name(step) in _ELSE and not _follows_if(step, flow):
            yield f"{where}: {step.definition} follows no if on its level"


def _kind(step: FlowStep, catalog: Catalog) -> str | None:
    found = catalog.find("step", step.definition or "") if step.definition else ()
    return found[0].kind if found else None


def _name(step: FlowStep) -> str:
    return (step.definition or "").rpartition(".")[2]


def _follows_if(step: FlowStep, flow: Flow) -> bool:
    before = [other for other in flow.steps if other.order < step.order and other.block == step.block]
    return bool(before) and _name(before[-1]) in _AFTER
