"""Recall of lexical, dense and hybrid retrieval on dataset folders, through the retriever that applications use.

Usage: python benchmarks/quality.py DATASET ... [--encoder SPEC] [--weights 0.7 0.85 0.95] [--output FILE.json]

Prints a Markdown table of Recall@k (15 for steps, 5 for other types), nDCG@10 and MRR@10 by ranx. Candidates are all elements
of the type in the dataset: the context of a query goes into its text and limits nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

from ranx import Qrels, Run, evaluate, fuse

from multiretriever.core import Catalog, Index, MultiRetriever, QueryTruncatedWarning, element_type, load_encoder
from multiretriever.core.encoders import Vectors, fit_prompt
from multiretriever.core.ranking import DENSE_WEIGHT

# Reciprocal ranks need more than the hits that are counted.
DEPTH = 50
CHUNK = 256


def read_queries(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Reads the queries of a dataset by element type."""
    queries: dict[str, list[dict[str, Any]]] = {}
    for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines():
        query = json.loads(line)
        queries.setdefault(query["element_type"], []).append(query)
    return queries


def retrieve(retriever: MultiRetriever, name: str, queries: list[dict[str, Any]], vectors: Vectors) -> Run:
    """Retrieves all queries of a type."""
    found: dict[str, dict[str, float]] = {}
    for start in range(0, len(queries), CHUNK):
        chunk = queries[start : start + CHUNK]
        texts, contexts = [item["query"] for item in chunk], [item["context"] for item in chunk]
        answers = retriever.retrieve_batch(texts, name, k=DEPTH, context=contexts, vectors=vectors[start : start + CHUNK])
        for query, hits in zip(chunk, answers, strict=True):
            # ranx takes no empty answer; an id that is no element's stands for it.
            found[query["id"]] = {hit.id: hit.score for hit in hits} or {"(none)": 0.0}
    return Run(found)


def encode(retriever: MultiRetriever, name: str, queries: list[dict[str, Any]]) -> Vectors:
    """Encodes all queries of a type once, as the retriever does for each mode."""
    encoder = retriever.index.encoder
    prompts = [retriever.prompt(item["query"], name, context=item["context"]) for item in queries]
    return encoder.encode_queries([fit_prompt(encoder, prompt) for prompt in prompts])


def runs(index: Index, name: str, queries: list[dict[str, Any]], weights: list[float]) -> dict[str, Run]:
    """Returns the answers of each way to rank."""
    vectors = encode(MultiRetriever(index), name, queries)
    found = {mode: retrieve(MultiRetriever(index, mode=mode), name, queries, vectors) for mode in ("lexical", "dense")}
    # The usual fusion, for comparison; ranx fuses in place, so it is given copies.
    copies = [Run(dict(run.to_dict())) for run in found.values()]
    found["rrf"] = fuse(runs=copies, method="rrf")
    for weight in weights:
        found[f"hybrid {weight:g}"] = retrieve(MultiRetriever(index, dense_weight=weight), name, queries, vectors)
    return found


def measure(folder: Path, encoder: str | None, weights: list[float]) -> list[dict[str, Any]]:
    """Measures all types and ways to rank of a dataset."""
    rows = []
    with Index.from_catalog(Catalog.from_path(folder), encoder=encoder, progress=True) as index:
        for name, queries in read_queries(folder).items():
            k = element_type(name).default_k
            qrels = Qrels({item["id"]: dict.fromkeys(item["relevant"], 1) for item in queries})
            for how, run in runs(index, name, queries, weights).items():
                scores = evaluate(qrels, run, [f"recall@{k}", "ndcg@10", "mrr@10"], make_comparable=True)
                row = {"dataset": folder.name, "element_type": name, "queries": len(queries), "k": k, "how": how}
                rows.append(row | {key.replace(f"@{k}", "@k"): round(float(value), 4) for key, value in scores.items()})
                sys.stderr.write(f"{rows[-1]}\n")
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Returns Recall@k as a Markdown table, a row for each dataset and type."""
    columns = list(dict.fromkeys(row["how"] for row in rows))
    keys = list(dict.fromkeys((row["dataset"], row["element_type"], row["queries"], row["k"]) for row in rows))
    cells = {(row["dataset"], row["element_type"], row["how"]): row["recall@k"] for row in rows}
    head = ["dataset", "element type", "queries", "k", *columns]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for dataset, name, queries, k in keys:
        values = [f"{cells[dataset, name, column]:.3f}" for column in columns]
        lines.append("| " + " | ".join([dataset, name, str(queries), str(k), *values]) + " |")
    means = [sum(cells[dataset, name, column] for dataset, name, _, _ in keys) / len(keys) for column in columns]
    return "\n".join([*lines, "| mean | | | | " + " | ".join(f"{value:.3f}" for value in means) + " |"])


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--encoder", help="as for multiretriever index")
    parser.add_argument("--weights", nargs="+", type=float, default=[DENSE_WEIGHT], help="shares of the cosine in hybrid")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", QueryTruncatedWarning)
    rows = [row for folder in options.datasets for row in measure(folder, options.encoder, options.weights)]
    print(table(rows))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        facts = {"encoder": load_encoder(options.encoder).name, "fingerprint": load_encoder(options.encoder).fingerprint}
        options.output.write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
