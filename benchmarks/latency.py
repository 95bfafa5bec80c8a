"""Milliseconds of a query in a warm process, by mode, on the bundled catalog.

Usage: python benchmarks/latency.py [--rounds N] [--output FILE.json]

Peers, interleaved: the encoder alone, retrieval of steps by each mode, grounding in all types, and a batch of 32 in one pass.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from multiretriever.core import Catalog, Index, MultiRetriever
from multiretriever.core.catalog import IT_SERVICE

BATCH = 32


def peers(retriever: MultiRetriever, queries: list[str]) -> dict[str, Callable[[int], object]]:
    """Returns what is compared: each takes the number of the round and does its work once."""
    encoder = retriever.index.encoder

    def batch(number: int) -> list[str]:
        return [queries[(number + offset) % len(queries)] for offset in range(BATCH)]

    return {
        "encode, with its instruction": lambda i: encoder.encode_queries([retriever.prompt(queries[i], "step").text]),
        "encode, bare": lambda i: encoder.encode_queries([queries[i]]),
        "lexical": lambda i: retriever.retrieve(queries[i], "step", mode="lexical"),
        "dense": lambda i: retriever.retrieve(queries[i], "step", mode="dense"),
        "hybrid": lambda i: retriever.retrieve(queries[i], "step", mode="hybrid"),
        "ground, 5 types": lambda i: retriever.ground(queries[i]),
        f"hybrid, a query of a batch of {BATCH}": lambda i: retriever.retrieve_batch(batch(i), "step", mode="hybrid"),
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    catalog = Catalog.from_path(IT_SERVICE)
    queries = [step.annotation for workflow in catalog.of("workflow") for step in workflow.flow.steps]
    times: dict[str, list[float]] = {}
    with Index.from_catalog(catalog, progress=True) as index:
        compared = peers(MultiRetriever(index), queries)
        for number in range(-2, options.rounds):  # the first two warm up
            for name, work in compared.items():
                start = time.perf_counter()
                work(number % len(queries))
                if number >= 0:
                    times.setdefault(name, []).append((time.perf_counter() - start) * 1000 / (BATCH if "batch" in name else 1))
    rows = [{"what": name, "median_ms": round(statistics.median(values), 2)} for name, values in times.items()]
    for row in rows:
        print(f"{row['what']:34} {row['median_ms']:8.2f} ms")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        facts = {"rounds": options.rounds, "elements": len(catalog)}
        options.output.write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
