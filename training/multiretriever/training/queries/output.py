"""Writing queries as a dataset folder of its own, which pairs, training and evaluation read; for a corpus, as a BEIR folder."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiretriever.core.datasets import Dataset, Example
from multiretriever.core.datasets.settings import DATASET_FILE
from multiretriever.core.elements import Element, Field
from multiretriever.core.errors import ParameterError
from multiretriever.core.evaluation import BeirDataset
from multiretriever.core.evaluation.beir import CORPUS_FILE, QRELS_FOLDER, QUERIES_FILE
from multiretriever.core.yaml_io import dump_yaml
from multiretriever.training.queries.sieve import sift

MARK = "written-queries.json"
SPLIT = "train"


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        queries: Number of queries by element type and kind.
        dropped: Queries that were left out, by why: ``twice`` or ``leak`` (they stand in another element of the type).
    """

    queries: Mapping[tuple[str, str], int]
    dropped: Mapping[str, int]

    @property
    def total(self) -> int:
        """Number of all queries."""
        return sum(self.queries.values())


def check_output(folder: str | Path) -> Path:
    """Returns where queries are to be written.

    Raises:
        ParameterError: The folder holds something that was not written by ``save_queries``.
    """
    folder = Path(folder)
    known = {"answers.jsonl", MARK}
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder} is a file; queries are written to a folder")
    if folder.is_dir() and not (folder / MARK).is_file() and any(item.name not in known for item in folder.iterdir()):
        raise ParameterError(f"{folder} holds something else than written queries; choose another folder")
    return folder


def save_queries(folder: str | Path, dataset: Dataset, examples: Iterable[Example], *, writer: str) -> Written:
    """Writes queries and the catalog that answers them as a dataset folder; for a BEIR corpus, as a BEIR folder.

    Queries that are twice there or stand in an element of their type are left out. The kind of each query is its ``kind``;
    ``writer`` stands beside it. Each file appears when it is whole.

    Args:
        folder: New, empty, or written by this function before.
        dataset: Where the elements are.
        examples: The queries.
        writer: Who wrote them: a model's name, or ``rules``.

    Raises:
        ParameterError: The folder holds something else or cannot be written.
    """
    folder = check_output(folder)
    dropped: Counter[str] = Counter()
    kept = sift(dataset, examples, dropped)
    files = _beir(dataset, kept, writer) if isinstance(dataset, BeirDataset) else _folder(dataset, kept, writer)
    counts = Counter((example.element_type, example.kind) for example in kept)
    written = Written(dict(sorted(counts.items())), {why: count for why, count in dropped.items() if count})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / MARK, [json.dumps({"dataset": dataset.name, "writer": writer, "queries": written.total})])
        shutil.rmtree(folder / "catalog", ignore_errors=True)
        for name, lines in files.items():
            _replace(folder / name, lines)
    except OSError as error:
        raise ParameterError(f"queries cannot be written to {folder}: {error.strerror or error}") from error
    return written


def _replace(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    os.replace(part, path)


def _folder(dataset: Dataset, examples: Sequence[Example], writer: str) -> dict[str, list[str]]:
    settings = {
        "name": f"{dataset.name}-queries",
        "licence": dataset.settings.licence,
        "source": f"queries written by {writer} for the catalog of {dataset.name}",
        "language": dataset.settings.language,
    }
    files = {DATASET_FILE: [dump_yaml({key: value for key, value in settings.items() if value}).rstrip("\n")]}
    described = {item.table for item in dataset.catalog.of("field") if isinstance(item, Field)}
    for name in dataset.catalog.types:
        files[f"catalog/{name}.jsonl"] = [_json(_record(item, described)) for item in dataset.catalog.of(name)]
    files["queries.jsonl"] = [_json(_line(example, writer)) for example in examples]
    return files


def _record(element: Element, described: set[str]) -> dict[str, Any]:
    values = {"id": element.id, **element.model_dump(mode="json", exclude_defaults=True), "element_type": element.element_type}
    if element.element_type == "table" and element.name in described:
        values.pop("fields", None)  # The catalog fills them in from the fields themselves.
    return values


def _line(example: Example, writer: str) -> dict[str, Any]:
    return {
        "id": example.id,
        "element_type": example.element_type,
        "query": example.query,
        "context": dict(example.context),
        "relevant": list(example.relevant),
        "kind": example.kind,
        "language": example.language,
        "writer": writer,
    }


def _beir(dataset: BeirDataset, examples: Sequence[Example], writer: str) -> dict[str, list[str]]:
    passages = dataset.catalog.of("passage")
    head = "query-id\tcorpus-id\tscore"
    return {
        CORPUS_FILE: [_json({"_id": item.id, "title": item.label, "text": item.description}) for item in passages],
        QUERIES_FILE: [
            _json({"_id": item.id, "text": item.query, "metadata": {"kind": item.kind, "writer": writer}}) for item in examples
        ],
        f"{QRELS_FOLDER}/{SPLIT}.tsv": [head, *(f"{item.id}\t{item.relevant[0]}\t1" for item in examples)],
    }


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
