"""How large a dataset is."""

from __future__ import annotations

from typing import Any

from multiretriever.core.datasets.dataset import Dataset

_QUERIES = ("step", "table", "field", "catalog_item", "workflow")


def summary_row(dataset: Dataset, split: str | None = None) -> dict[str, Any]:
    """Returns the sizes of a dataset: elements, flows and steps in flows, and the queries that evaluation makes of them.

    Raises:
        DatasetError, FlowError: A file is not valid.
        ParameterError: There is no such split.
    """
    flows = steps = 0
    for flow in dataset.flows(split):
        flows += 1
        steps += len(flow.steps)
    counts = dataset.catalog.counts
    queries = dict.fromkeys(_QUERIES, 0)
    for example in dataset.examples(split):
        queries[example.element_type] = queries.get(example.element_type, 0) + 1
    return {
        "dataset": dataset.name,
        "scopes": len({step.scope for step in dataset.catalog.of("step")}),
        **{f"{name}s": counts.get(name, 0) for name in _QUERIES},
        "flows": flows,
        "steps_in_flows": steps,
        **{f"{name}_queries": count for name, count in queries.items()},
    }
