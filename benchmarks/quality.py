"""Recall of lexical, dense and hybrid retrieval on dataset folders, with several weights of the hybrid and reciprocal ranks.

Usage: python benchmarks/quality.py DATASET ... [--encoder SPEC] [--weights 0.7 0.85 0.95] [--output FILE.json]

`multiretriever evaluate` measures the same ways to rank, and more; this lays other ways beside them. Prints Markdown tables of
Recall@k (15 for steps, 5 for other types) and nDCG@10. Candidates are all elements of the type in the dataset.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from multiretriever.core.example import Example
from multiretriever.core.ranking import DENSE_WEIGHT
from multiretriever.datasets import Dataset, open_dataset
from multiretriever.evaluation import EvaluationReport, System, evaluate
from multiretriever.evaluation.report_files import table_markdown
from multiretriever.evaluation.systems import Ranked, RetrieverSystem, Workbench

# The usual constant of reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009).
RANK_CONSTANT = 60


class ReciprocalRanks:
    """The usual fusion, for comparison: the sum of 1 / (60 + rank) over other systems."""

    name = "rrf"

    def __init__(self, *parts: System) -> None:
        self._parts = parts

    def search(self, dataset: Dataset, element_type: str, examples: Sequence[Example], depth: int) -> list[Ranked]:
        """Ranks by the fused ranks."""
        answers = [part.search(dataset, element_type, examples, depth) for part in self._parts]
        return [self._fused(found)[:depth] for found in zip(*answers, strict=True)]

    def _fused(self, rankings: Sequence[Ranked]) -> list[tuple[str, float]]:
        scores: dict[str, float] = {}
        for ranked in rankings:
            for rank, (element_id, _) in enumerate(ranked, start=1):
                scores[element_id] = scores.get(element_id, 0.0) + 1 / (RANK_CONSTANT + rank)
        return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def make_systems(encoder: str | None, weights: Sequence[float]) -> list[System]:
    """Returns all ways to rank."""
    workbench = Workbench()
    workbench.add("", encoder)
    lexical = RetrieverSystem("lexical", "lexical", workbench=workbench)
    dense = RetrieverSystem("dense", "dense", workbench=workbench, encoder="")
    hybrid = [
        RetrieverSystem(f"hybrid {weight:g}", "hybrid", workbench=workbench, encoder="", dense_weight=weight)
        for weight in weights
    ]
    return [lexical, dense, ReciprocalRanks(lexical, dense), *hybrid]


def rows_of(report: EvaluationReport) -> list[dict[str, object]]:
    """Returns a row for each dataset, element type and way to rank."""
    names = {"recall": "recall@k", "ndcg@10": "ndcg@10", "mrr@10": "mrr@10"}
    rows: dict[tuple[str, ...], dict[str, object]] = {}
    for table in report.tables:
        for row in table.rows:
            for how, cell in row.cells.items():
                facts = {"dataset": row.keys[0], "element_type": row.keys[1], "queries": row.queries, "k": row.k, "how": how}
                rows.setdefault((*row.keys, how), facts)[names[table.measure]] = round(cell.value, 4)
    return list(rows.values())


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--encoder", help="as for multiretriever index")
    parser.add_argument("--weights", nargs="+", type=float, default=[DENSE_WEIGHT], help="shares of the cosine in hybrid")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    systems = make_systems(options.encoder, options.weights)
    datasets = [open_dataset(folder) for folder in options.datasets]
    report = evaluate(datasets, systems, by=["dataset,element_type"], progress=True)
    for table in report.tables[:2]:
        print(f"### {table.title}\n\n{table_markdown(table)}\n")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        info = next(item for item in report.systems if item.encoder)
        facts = {"encoder": info.encoder, "fingerprint": info.fingerprint}
        options.output.write_text(json.dumps({**facts, "rows": rows_of(report)}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
