"""One encoder for five retrieval tasks, or one for each: memory, cold start, throughput, disk and what an update costs.

Usage: python benchmarks/one_or_five.py [--runs N] [--queries N] [--output FILE.json]

The tasks are the element types of the bundled catalog. The five encoders are the shipped one with other bytes, so that nothing is
shared; how good each way is, is another question. Each run of each way is a fresh process (or five), in turns, and the rows hold
medians:

- cold start: until the encoders are loaded and a hybrid query of each type is answered;
- memory: proportional set size (PSS) after that, which counts pages that processes share once, and the highest resident size;
- throughput: the same stream of queries of all types in random order, one by one or in batches of 32, by one thread or by 8. One
  encoder reads a batch at once; with five it falls apart by type. By the encoder alone, and by whole hybrid retrieval.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

TYPES = ("step", "table", "field", "catalog_item", "workflow")
KINDS = ("step.annotation", "table.requirement", "field.table", "workflow.requirement")
BATCH = 32
THREADS = 8
LOADS = {
    "one by one, 1 thread": (1, 1),
    f"one by one, {THREADS} threads": (1, THREADS),
    f"batches of {BATCH}, 1 thread": (BATCH, 1),
    f"batches of {BATCH}, {THREADS} threads": (BATCH, THREADS),
}
# Each way to serve: its processes, and the encoders of each with their tasks.
WAYS: dict[str, list[dict[str, Sequence[str]]]] = {
    "one encoder": [{"all": TYPES}],
    "five encoders in a process": [{name: (name,) for name in TYPES}],
    "five encoders, a process each": [{name: (name,)} for name in TYPES],
}

Query = tuple[str, str]


def prepare(work: Path) -> None:
    """Makes the encoders, an index for each, and the stream of queries."""
    from multiretriever.core import Catalog, Index
    from multiretriever.core.catalog import IT_SERVICE
    from multiretriever.core.encoders.loading import DEFAULT_MODEL
    from multiretriever.datasets import Dataset

    catalog = Catalog.from_path(IT_SERVICE)
    for name in ("all", *TYPES):
        folder = work / "encoders" / name
        folder.mkdir(parents=True)
        for file in DEFAULT_MODEL.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        with (folder / "model.onnx").open("ab") as model:
            # Of a field that stands twice in a protobuf message the later one counts: field 2 is the producer's name.
            model.write(b"\x12" + bytes([len(name)]) + name.encode())
        facts = json.loads((DEFAULT_MODEL / "encoder.json").read_text(encoding="utf-8"))
        (folder / "encoder.json").write_text(json.dumps({**facts, "name": name, "model_sha256": name}), encoding="utf-8")
        # Fields are told by their tables, which must be in the catalog.
        wanted = {"all": TYPES, "field": ("field", "table")}.get(name, (name,))
        items = Catalog(item for item in catalog if item.element_type in wanted)
        Index.from_catalog(items, work / "indexes" / name, encoder=folder).close()
    examples = list(Dataset.from_path(IT_SERVICE).stream(kinds=KINDS, descriptions=("catalog_item",)))
    found = {name: sorted({item.query for item in examples if item.element_type == name}) for name in TYPES}
    (work / "queries.json").write_text(json.dumps(found), encoding="utf-8")
    (work / "elements.json").write_text(json.dumps({name: len(catalog.of(name)) for name in TYPES}), encoding="utf-8")


def draw(work: Path, count: int) -> list[Query]:
    """Returns the stream: each type as often, in random order."""
    texts = json.loads((work / "queries.json").read_text(encoding="utf-8"))
    chance = random.Random(1)
    stream = [(name, chance.choice(texts[name])) for index in range(count) for name in [TYPES[index % len(TYPES)]]]
    chance.shuffle(stream)
    return stream


class Service:
    """What a process serves: encoders and the retrievers of their tasks."""

    def __init__(self, work: Path, encoders: dict[str, list[str]]) -> None:
        from multiretriever.core import MultiRetriever

        self._retrievers = {}
        for name, tasks in encoders.items():
            opened = MultiRetriever.open(work / "indexes" / name, encoder=work / "encoders" / name)
            self._retrievers.update(dict.fromkeys(tasks, opened))

    def encode(self, queries: Sequence[Query]) -> dict[int, Any]:
        """Encodes a group, in one pass of each encoder. Returns the vectors by the place of the query."""
        groups: dict[int, list[int]] = defaultdict(list)
        for place, (task, _) in enumerate(queries):
            groups[id(self._retrievers[task])].append(place)
        vectors: dict[int, Any] = {}
        for places in groups.values():
            retriever = self._retrievers[queries[places[0]][0]]
            texts = [retriever.prompt(queries[place][1], queries[place][0]).text for place in places]
            vectors.update(zip(places, retriever.index.encoder.encode_queries(texts), strict=True))
        return vectors

    def retrieve(self, queries: Sequence[Query]) -> None:
        """Answers a group by hybrid retrieval."""
        import numpy as np

        vectors = self.encode(queries)
        groups: dict[str, list[int]] = defaultdict(list)
        for place, (task, _) in enumerate(queries):
            groups[task].append(place)
        for task, places in groups.items():
            rows = np.stack([vectors[place] for place in places])
            found = self._retrievers[task].retrieve_batch([queries[place][1] for place in places], task, vectors=rows)
            if not all(found):
                raise SystemExit(f"a query of {task} found nothing")


def rate(work: Callable[[Sequence[Query]], object], stream: Sequence[Query], batch: int, threads: int) -> float:
    """Returns queries per second."""
    groups = [stream[start : start + batch] for start in range(0, len(stream), batch)]
    with ThreadPoolExecutor(threads) as pool:
        begin = time.perf_counter()
        list(pool.map(work, groups))
        return len(stream) / (time.perf_counter() - begin)


def serve(work: Path, encoders: dict[str, list[str]], count: int) -> None:
    """Serves in this process: says when the first answers are there, then waits to be told to measure or to end."""
    service = Service(work, encoders)
    tasks = [task for own in encoders.values() for task in own]
    first = {task: query for task, query in draw(work, 5 * len(TYPES)) if task in tasks}
    for item in first.items():
        service.retrieve([item])
    print(json.dumps({"answered": len(first)}), flush=True)
    if not sys.stdin.readline().strip():
        return
    stream = draw(work, count)
    rates = {}
    for what, step in (("encode", service.encode), ("hybrid", service.retrieve)):
        rate(step, stream[:BATCH], BATCH, 1)  # warms up
        rates[what] = {name: rate(step, stream, *load) for name, load in LOADS.items()}
    unit = 1024 if sys.platform != "darwin" else 1024**2
    print(json.dumps({"rates": rates, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}), flush=True)
    sys.stdin.readline()


def memory(process: subprocess.Popen[str]) -> tuple[float, float]:
    """Returns the proportional and the resident set size in MB; the first falls back to the unique size where it is not known."""
    facts = psutil.Process(process.pid).memory_full_info()
    return getattr(facts, "pss", facts.uss) / 1e6, facts.rss / 1e6


def run(work: Path, way: str, count: int) -> dict[str, Any]:
    """Measures a way once, in fresh processes."""
    command = [sys.executable, __file__, "--queries", str(count), "--work", str(work), "--serve"]
    begin = time.perf_counter()
    processes = [
        subprocess.Popen([*command, json.dumps(encoders)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for encoders in WAYS[way]
    ]
    answered = sum(tell(process)["answered"] for process in processes)
    seconds = time.perf_counter() - begin
    if answered != len(TYPES):
        raise SystemExit(f"{way}: {answered} of {len(TYPES)} tasks were answered")
    sizes = [memory(process) for process in processes]
    row = {"cold_start_s": seconds, "pss_mb": sum(size[0] for size in sizes), "rss_mb": sum(size[1] for size in sizes)}
    if len(processes) == 1:  # Five processes would need a router, whose cost is not that of encoders.
        row |= tell(processes[0], "measure")
        row["pss_after_load_mb"] = memory(processes[0])[0]
    for process in processes:
        process.communicate()
    return row


def tell(process: subprocess.Popen[str], message: str = "") -> dict[str, Any]:
    """Sends a line, if there is one, and returns the answer."""
    if message and process.stdin:
        process.stdin.write(f"{message}\n")
        process.stdin.flush()
    answer = process.stdout.readline() if process.stdout else ""
    if not answer:
        raise SystemExit(f"{process.args} failed")
    found: dict[str, Any] = json.loads(answer)
    return found


def median(values: Sequence[Any]) -> Any:
    """Returns the medians of figures, also of those in mappings."""
    if isinstance(values[0], dict):
        return {key: median([value[key] for value in values]) for key in values[0]}
    return round(statistics.median(values), 3)


def costs(work: Path, way: str) -> dict[str, int]:
    """Returns bytes on disk, and what a new version costs: bytes to send and elements to embed again."""
    used = {name: tasks for process in WAYS[way] for name, tasks in process.items()}
    sizes = [sum(file.stat().st_size for file in (work / "encoders" / name).iterdir()) for name in used]
    elements = json.loads((work / "elements.json").read_text(encoding="utf-8"))
    embedded = [sum(elements[task] for task in tasks) for tasks in used.values()]
    return {
        "disk_bytes": sum(sizes),
        "update_of_all_tasks_bytes": sum(sizes),
        "update_of_one_task_bytes": max(sizes),
        "update_of_one_task_embeds_at_most": max(embedded),
        "another_task_bytes": 0 if len(used) == 1 else max(sizes),
    }


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Returns the table of the documentation."""
    from multiretriever.evaluation.report_files import grid, line  # not before all is measured, see main

    lines = {
        "cold start, s": lambda row: f"{row['cold_start_s']:.2f}",
        "memory (PSS), MB": lambda row: f"{row['pss_mb']:.0f}",
        "memory after the load (PSS), MB": lambda row: f"{row['pss_after_load_mb']:.0f}" if "rates" in row else "",
        "highest resident size, MB": lambda row: f"{row['peak_mb']:.0f}" if "rates" in row else "",
    }
    for what in ("encode", "hybrid"):
        for load in LOADS:
            lines[f"{what}, {load}, queries/s"] = lambda row, what=what, load=load: (
                f"{row['rates'][what][load]:.0f}" if "rates" in row else ""
            )
    for name, label in (("disk_bytes", "encoders on disk"), ("update_of_one_task_bytes", "sent when one task is tuned again")):
        lines[f"{label}, MB"] = lambda row, name=name: f"{row[name] / 1e6:.1f}"
    lines["sent when all tasks are tuned again, MB"] = lambda row: f"{row['update_of_all_tasks_bytes'] / 1e6:.1f}"
    lines["elements embedded again when one task is, at most"] = lambda row: f"{row['update_of_one_task_embeds_at_most']:,}"
    lines["sent for a sixth task, MB"] = lambda row: f"{row['another_task_bytes'] / 1e6:.1f}"
    head = grid(["", *(row["way"] for row in rows)], 1)
    return "\n".join([*head, *(line([label, *(cell(row) for row in rows)]) for label, cell in lines.items())])


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--queries", type=int, default=640, help="length of the stream")
    parser.add_argument("--output", type=Path)
    for name in ("--serve", "--prepare", "--work"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(Path(options.work), json.loads(options.serve), options.queries)
        return
    if options.prepare:
        prepare(Path(options.prepare))
        return
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        # Not in this process: a child's peak counts that of its parent before it became another program.
        subprocess.run([sys.executable, __file__, "--prepare", folder], check=True, stdout=subprocess.DEVNULL)
        for number in range(options.runs):
            for way in random.Random(number).sample(list(WAYS), len(WAYS)):
                found[way].append(run(work, way, options.queries))
        rows = [{"way": way, **median(runs), **costs(work, way)} for way, runs in found.items()]
    print(markdown(rows))
    if options.output:
        facts = {"runs": options.runs, "queries": options.queries, "batch": BATCH, "cores": os.cpu_count()}
        options.output.parent.mkdir(parents=True, exist_ok=True)
        content = {**facts, "machine": platform.machine(), "rows": rows}
        options.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
