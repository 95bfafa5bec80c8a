"""Recall of dense retrieval with and without each rule that makes texts and queries.

Usage: python benchmarks/choices.py DATASET ... [--encoder SPEC] [--output FILE.json]

The rules are those of the core for an encoder that knows no instructions; each row leaves one out or puts one in. The last
rows are of the bundled flows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from multiretriever.core import Catalog, Element, Encoder, InstructionSet, element_type, load_encoder
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.core.prompts import make_prompt

Text = Callable[[Element], str]


def recall(
    encoder: Encoder,
    documents: Sequence[str],
    ids: Sequence[str],
    queries: Sequence[str],
    relevant: Sequence[Sequence[str]],
    k: int,
) -> float:
    """Returns the mean share of the relevant documents among the k nearest."""
    scores = encoder.encode_queries(queries) @ encoder.encode_documents(documents).T
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    shares = [len({ids[i] for i in row} & set(wanted)) / len(wanted) for row, wanted in zip(best, relevant, strict=True)]
    return round(float(np.mean(shares)), 4)


def text(element: Element) -> str:
    """Returns the text that is embedded."""
    return element_type(element.element_type).text(element)


def without(**values: Any) -> Text:
    """Returns the rule for texts of elements that lack something."""
    return lambda element: text(element.model_copy(update=values))


def plain(query: dict[str, Any]) -> str:
    """Returns a query without its context."""
    return str(query["query"])


def with_context(query: dict[str, Any]) -> str:
    """Returns what an encoder that was trained without instructions is given."""
    return make_prompt(query["query"], query["element_type"], query["context"], instructions=None).text


def with_instruction(query: dict[str, Any]) -> str:
    """Returns what an encoder that was trained with instructions is given."""
    return make_prompt(query["query"], query["element_type"], query["context"], instructions=InstructionSet.default()).text


def measure(encoder: Encoder, folder: Path) -> list[dict[str, Any]]:
    """Measures the rules on a dataset."""
    catalog = Catalog.from_path(folder)
    queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = []
    for name in dict.fromkeys(query["element_type"] for query in queries):
        own = [query for query in queries if query["element_type"] == name]
        choices: dict[str, tuple[Text, Callable[[dict[str, Any]], str]]] = {
            "as shipped": (text, with_context),
            "instruction before the query": (text, with_instruction),
            "scope left out of the text": (without(scope=""), with_context),
        }
        if any(query["context"] for query in own):
            choices["context left out of the query"] = (text, plain)
        if name == "table":
            choices["fields left out of the text"] = (without(fields=()), with_context)
        elements = catalog.of(name)
        for choice, (document, query) in choices.items():
            k = element_type(name).default_k
            found = recall(
                encoder,
                [document(item) for item in elements],
                [item.id for item in elements],
                [query(item) for item in own],
                [item["relevant"] for item in own],
                k,
            )
            rows.append({"dataset": folder.name, "element_type": name, "choice": choice, "k": k, "recall": found})
            print(f"| {folder.name} | {name} | {choice} | {found:.3f} |", flush=True)
    return rows


def measure_flows(encoder: Encoder) -> list[dict[str, Any]]:
    """Measures what helps to find the step of an annotation, and the steps of a requirement, on the bundled flows."""
    catalog = Catalog.from_path(IT_SERVICE)
    steps = catalog.of("step")
    flows = [workflow.flow for workflow in catalog.of("workflow")]
    calls = [(flow, step) for flow in flows for step in flow.steps]
    flow_text = [flow.so_far(step.order).to_yaml() for flow, step in calls]
    annotations = [step.annotation for _, step in calls]
    wanted = [[step.definition] for _, step in calls]
    kinds = {
        "annotation": (annotations, wanted),
        "requirement before the annotation": ([f"{flow.requirement}\n{step.annotation}" for flow, step in calls], wanted),
        # The window would cut the end off, which is the query.
        "flow so far before the annotation": ([f"{f[-800:]}\n{a}" for f, a in zip(flow_text, annotations, strict=True)], wanted),
        "requirement alone, all its steps": (
            [flow.requirement for flow in flows],
            [list({step.definition for step in flow.steps}) for flow in flows],
        ),
    }
    rows = []
    for choice, (queries, relevant) in kinds.items():
        found = recall(encoder, [text(item) for item in steps], [item.id for item in steps], queries, relevant, 15)
        rows.append({"dataset": "bundled flows", "element_type": "step", "choice": choice, "k": 15, "recall": found})
        print(f"| bundled flows | step | {choice} | {found:.3f} |", flush=True)
    return rows


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--encoder", help="as for multiretriever index; one that was trained without instructions")
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    rows = measure_flows(encoder) + [row for folder in options.datasets for row in measure(encoder, folder)]
    if options.output:
        options.output.write_text(json.dumps({"encoder": encoder.name, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
