"""Share of flows that have a near-duplicate, within each dataset and between the training flows and each other dataset.

Usage: python benchmarks/near_duplicates.py TRAINING OTHER ... [--encoder SPEC] [--output FILE.json]

Two measures: MinHash (datasketch; Jaccard of three-word shingles of requirement and annotations, at least 0.5) and the cosine of
the requirements by an encoder (at least 0.9). A flow counts once, however many near-duplicates it has.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasketch import MinHash, MinHashLSH

from multiretriever.core import Encoder, Flow, load_encoder
from multiretriever.datasets import Dataset

SHINGLE = 3
JACCARD = 0.5
COSINE = 0.9
PERMUTATIONS = 256


@dataclass(frozen=True)
class Part:
    """The flows of one dataset, or of one split of it."""

    name: str
    flows: list[Flow]
    hashes: list[MinHash]
    vectors: Any


def shingles(flow: Flow) -> set[str]:
    words = re.findall(r"\w+", " ".join([flow.requirement, *(step.annotation for step in flow.steps)]).casefold())
    return {" ".join(words[start : start + SHINGLE]) for start in range(max(1, len(words) - SHINGLE + 1))}


def minhash(flow: Flow) -> MinHash:
    made = MinHash(num_perm=PERMUTATIONS, seed=1)
    made.update_batch([text.encode() for text in shingles(flow)])
    return made


def read(path: Path, encoder: Encoder) -> list[Part]:
    dataset = Dataset.from_path(path)
    parts = []
    for split in dataset.splits or (None,):
        flows = list(dataset.flows(split))
        if flows:
            name = f"{dataset.name} ({split})" if split else dataset.name
            vectors = encoder.encode_documents([flow.requirement for flow in flows])
            parts.append(Part(name, flows, [minhash(flow) for flow in flows], vectors))
    return parts


def minhash_hits(part: Part, other: Part) -> list[tuple[str, str, float]]:
    index = MinHashLSH(threshold=JACCARD, num_perm=PERMUTATIONS, weights=(0.2, 0.8))
    for number, hashed in enumerate(other.hashes):
        index.insert(number, hashed)
    hits = []
    for number, hashed in enumerate(part.hashes):
        found = [item for item in index.query(hashed) if not (part is other and item == number)]
        best = max(((hashed.jaccard(other.hashes[item]), item) for item in found), default=(0.0, -1))
        if best[0] >= JACCARD:
            hits.append((part.flows[number].name, other.flows[best[1]].name, round(best[0], 3)))
    return hits


def cosine_hits(part: Part, other: Part) -> list[tuple[str, str, float]]:
    scores = part.vectors @ other.vectors.T
    if part is other:
        np.fill_diagonal(scores, -1)
    best = scores.argmax(axis=1)
    return [
        (part.flows[row].name, other.flows[column].name, round(float(scores[row, column]), 3))
        for row, column in enumerate(best)
        if scores[row, column] >= COSINE
    ]


def compare(part: Part, other: Part) -> dict[str, Any]:
    hashed, near = minhash_hits(part, other), cosine_hits(part, other)
    count = len(part.flows)
    return {
        "flows": part.name,
        "compared_with": "itself" if part is other else other.name,
        "count": count,
        "minhash_share": round(len(hashed) / count, 4),
        "cosine_share": round(len(near) / count, 4),
        "examples": [list(item) for item in (*hashed[:3], *near[:3])],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path)
    parser.add_argument("others", nargs="*", type=Path)
    parser.add_argument("--encoder", help="as for multiretriever index")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    training = read(options.training, encoder)
    others = [part for path in options.others for part in read(path, encoder)]
    rows = [compare(part, part) for part in (*training, *others)]
    rows += [compare(part, training[0]) for part in (*training[1:], *others)]
    print("| flows | compared with | number | MinHash | cosine |\n| --- | --- | ---: | ---: | ---: |")
    for row in rows:
        shares = f"{row['minhash_share']:.1%} | {row['cosine_share']:.1%}"
        print(f"| {row['flows']} | {row['compared_with']} | {row['count']} | {shares} |")
    if options.output:
        facts = {"jaccard": JACCARD, "shingle_words": SHINGLE, "cosine": COSINE, "encoder": encoder.name}
        options.output.write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
