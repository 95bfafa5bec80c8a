"""How often the right tool is among those that are offered: 70 requests, by BM25, by the encoder, and by both.

The requests in ``requests.csv`` were written before any of them was searched for; where several operations would do, each of
them counts. Nothing was tuned on them.

Run ``python examples/agent_tools/recall.py [--index FOLDER]``.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from multiretriever.core.query import MODES, Mode
from operations import Operations, arguments_of, open_operations

REQUESTS = Path(__file__).parent / "requests.csv"


def requests() -> dict[str, set[str]]:
    """Returns the requests, each with the ids of the operations that are right."""
    with REQUESTS.open(encoding="utf-8", newline="") as file:
        return {row["request"]: set(row["right"].split("|")) for row in csv.DictReader(file)}


def ranks(operations: Operations, right: Mapping[str, set[str]], mode: Mode, k: int) -> list[int | None]:
    """Returns the rank of the first right operation of each request; None where none is among k."""
    found = operations.retriever.retrieve_batch(list(right), "step", k=k, mode=mode)
    return [
        next((hit.rank for hit in hits if hit.id in wanted), None) for hits, wanted in zip(found, right.values(), strict=True)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table."""
    options = arguments_of(argv)
    operations = open_operations(options.apis, None if options.index == "memory" else options.index)
    right = requests()
    print(f"{len(right)} requests, {len(operations.toolbox.tools)} operations\n")
    print("| ranked by | recall@1 | recall@5 | recall@10 | recall@20 |\n| --- | --- | --- | --- | --- |")
    for mode in MODES:
        places = ranks(operations, right, mode, 20)
        shares = [sum(place is not None and place <= k for place in places) / len(places) for k in (1, 5, 10, 20)]
        print(f"| {mode} | {' | '.join(f'{share:.2f}' for share in shares)} |")
    operations.retriever.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
