"""Time and memory of a whole process that opens an index and answers its first search, without torch.

Usage: python benchmarks/cold_start.py [--runs N] [--output FILE.json]

Peers, interleaved: `multiretriever search` with each mode, and a process that only imports chromadb (the floor that the
vector store sets). Medians of wall seconds and of the peak resident memory that the kernel reports.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUERY = "look up incident tasks that do not have assignees"


def commands(location: str) -> dict[str, list[str]]:
    """Returns the processes to compare."""
    search = [sys.executable, "-m", "multiretriever", "search", QUERY, "--index", location, "--json", "--mode"]
    return {
        "import chromadb": [sys.executable, "-c", "import chromadb"],
        **{f"search, {mode}": [*search, mode] for mode in ("lexical", "dense", "hybrid")},
    }


def run(command: list[str]) -> tuple[float, float]:
    """Runs a process; returns its wall seconds and its peak resident memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{command} failed")
    return seconds, usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        # Not in this process: a child's peak counts that of its parent before it became another program.
        subprocess.run(
            [sys.executable, "-m", "multiretriever", "demo", "--index", f"{folder}/index"], check=True, stdout=subprocess.DEVNULL
        )
        for _ in range(options.runs):
            for name, command in commands(f"{folder}/index").items():
                found.setdefault(name, []).append(run(command))
    rows = [
        {
            "process": name,
            "seconds": round(statistics.median(seconds for seconds, _ in runs), 3),
            "fastest": round(min(seconds for seconds, _ in runs), 3),
            "peak_mb": round(statistics.median(memory for _, memory in runs), 1),
        }
        for name, runs in found.items()
    ]
    for row in rows:
        print(f"{row['process']:20} {row['seconds']:6.2f} s (fastest {row['fastest']:.2f})  {row['peak_mb']:6.0f} MB")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({"runs": options.runs, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
