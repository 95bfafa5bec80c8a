"""Memory and time of making pairs from many flows.

Usage: python benchmarks/pairs_memory.py [--flows 1000 10000 100000] [--output FILE.json]

The flows are the bundled ones over and over, each with a word of its own in its texts, as JSON Lines; each size runs in a process
of its own, whose peak memory is measured.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from multiretriever.core import Catalog, Flow, InstructionSet, read_flows
from multiretriever.core.catalog import IT_SERVICE


def write(path: Path, count: int) -> None:
    """Writes a dataset folder with so many flows."""
    flows = read_flows(IT_SERVICE / "flows")
    path.mkdir(parents=True)
    (path / "dataset.yaml").write_text(f"catalog: {json.dumps(str(IT_SERVICE / 'catalog'))}\n", encoding="utf-8")
    with (path / "flows.jsonl").open("w", encoding="utf-8") as file:
        for number in range(count):
            file.write(json.dumps(varied(flows[number % len(flows)], number)) + "\n")


def varied(flow: Flow, number: int) -> dict[str, Any]:
    values = flow.to_dict()
    mark = f" (case {number})"
    values["requirement"] += mark
    for step in values["steps"]:
        step["annotation"] += mark
    return {**values, "name": f"{flow.name}_{number}"}


def measure(folder: Path, output: Path) -> dict[str, Any]:
    """Makes the pairs of a folder in this process."""
    from multiretriever.datasets import Dataset
    from multiretriever.training.pairs import PairBuilder, write_pairs

    start = time.perf_counter()
    builder = PairBuilder(Dataset.from_path(folder), instructions=InstructionSet.default())
    pairs = write_pairs(output, builder.build())
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    queries = sum(builder.report.queries.values())
    return {
        "flows": builder.report.flows,
        "queries": queries,
        "pairs": pairs,
        "seconds": round(seconds, 1),
        "peak_mb": round(peak / 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", nargs="+", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.measure / "pairs.parquet")))
        return
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for count in options.flows:
            folder = Path(work) / str(count)
            write(folder, count)
            done = subprocess.run(
                [sys.executable, __file__, "--measure", str(folder)], check=True, capture_output=True, text=True
            )
            rows.append(json.loads(done.stdout))
            print(rows[-1], flush=True)
    if options.output:
        elements = len(Catalog.from_path(IT_SERVICE / "catalog"))
        options.output.write_text(json.dumps({"elements": elements, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
