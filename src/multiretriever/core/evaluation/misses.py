"""Queries whose answers were not all found: what to read when a figure is low."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from multiretriever.core.datasets import Dataset, Example
from multiretriever.core.errors import ParameterError
from multiretriever.core.evaluation.measures import RECALL
from multiretriever.core.evaluation.report import EvaluationReport
from multiretriever.core.flows import Flow

# Steps of a flow so far that are shown, its last ones.
_STEPS_SHOWN = 3


def misses(report: EvaluationReport, datasets: Dataset | Iterable[Dataset]) -> Iterator[dict[str, Any]]:
    """Gives the queries for which some system did not find all that is relevant within its cut, in the order of the report.

    Args:
        report: The report.
        datasets: The datasets that it is about.

    Raises:
        ParameterError: A dataset is missing, or does not have a query of the report.
    """
    given = [datasets] if isinstance(datasets, Dataset) else list(datasets)
    by_name = {dataset.name: dataset for dataset in given}
    if lacking := [name for name in report.datasets if name not in by_name]:
        raise ParameterError(f"the report is also about {', '.join(lacking)}; give that dataset too")
    for name in report.datasets:
        dataset = by_name[name]
        kinds = {query.kind for query in report.queries if query.dataset == name}
        examples = {example.id: example for example in dataset.examples(report.split, tuple(kinds))}
        for place, query in enumerate(report.queries):
            if query.dataset == name and any(values[RECALL][place] < 1 for values in report.values.values()):
                if query.id not in examples:
                    raise ParameterError(f"dataset {name!r} has no query {query.id!r}; it is not the one that was evaluated")
                yield _miss(report, place, dataset, examples[query.id])


def write_misses(path: str | Path, report: EvaluationReport, datasets: Dataset | Iterable[Dataset]) -> int:
    """Writes ``misses``, one JSON object a line, and returns how many. Raises what ``misses`` raises."""
    lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in misses(report, datasets)]
    Path(path).write_text("".join(lines), encoding="utf-8", newline="\n")
    return len(lines)


def _miss(report: EvaluationReport, place: int, dataset: Dataset, example: Example) -> dict[str, Any]:
    def title(element_id: str) -> str:
        element = dataset.catalog.get(example.element_type, element_id)
        return element.title if element is not None else ""

    return {
        "id": example.id,
        "dataset": dataset.name,
        "element_type": example.element_type,
        "kind": example.kind,
        "language": example.language,
        "query": example.query,
        "context": short_context(example.context),
        "relevant": [{"id": item, "label": title(item)} for item in example.relevant],
        "systems": {
            name: {
                "recall": round(values[RECALL][place], 4),
                "rank": report.ranks[name][place],
                "found": [{"id": item, "label": title(item), "score": score} for item, score in report.found[name][place]],
            }
            for name, values in report.values.items()
        },
    }


def short_context(context: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a context as plain values, of a flow its requirement and its last steps, a line each."""
    return {key: _short_flow(value) if key == "flow" else value for key, value in context.items()}


def _short_flow(value: Any) -> Any:
    if isinstance(value, str):
        value = Flow.from_yaml(value)
    flow = value if isinstance(value, Flow) else Flow.model_validate(value)
    called = [item for item in (flow.trigger, *flow.steps) if item is not None]
    lines = [f"{item.definition or '?'}: {item.annotation}" for item in called[-_STEPS_SHOWN:]]
    return {"requirement": flow.requirement, "steps": len(flow.steps), "last": lines}
