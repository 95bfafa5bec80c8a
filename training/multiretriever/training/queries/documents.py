"""What queries are written for (elements of a catalog, passages of a corpus), which are kept, and the folder that they go to.

The folder is a dataset of its own, which pairs, training and evaluation read; for a corpus it is a BEIR folder.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from multiretriever.core.elements import Element, Field, Step, element_type
from multiretriever.core.errors import ParameterError
from multiretriever.core.example import Example
from multiretriever.core.names import split_words
from multiretriever.core.sources.detection import DATASET_FILE
from multiretriever.core.yaml_io import dump_yaml
from multiretriever.datasets import BeirDataset, Dataset
from multiretriever.datasets.beir import CORPUS_FILE, QRELS_FOLDER, QUERIES_FILE
from multiretriever.datasets.checks import find_leaks, words_of
from multiretriever.training.recipe import Settings

# Written queries name one thing each, as the annotation of one step does; a requirement names many.
_ANNOTATIONS = ("step", "table", "field")


@dataclass(frozen=True)
class Document:
    """One element, as writers see it.

    Attributes:
        element: The element.
        text: Its text as it is embedded, and what else shows what it is for: inputs of a step, choices of a field.
    """

    element: Element
    text: str

    @property
    def context(self) -> Mapping[str, str]:
        """What is known when its queries are asked: the table of a field, and that the text is about one step."""
        name = self.element.element_type
        known = {"table": self.element.table} if isinstance(self.element, Field) else {}
        return {**known, "text": "annotation"} if name in _ANNOTATIONS else known

    def example(self, kind: str, number: int | str, query: str, language: str = "en") -> Example:
        """Returns a query for the element. Its id starts with the element's, so that evaluation counts those together."""
        name = f"{self.element.element_type}:{self.element.id}#{kind}#{number}"
        return Example(name, self.element.element_type, query, (self.element.id,), self.context, kind, language)


def documents_of(
    dataset: Dataset, types: Sequence[str] | None = None, *, sample: int | None = None, seed: int = 0
) -> list[Document]:
    """Returns the documents of a dataset, in the order of its catalog.

    Args:
        dataset: The dataset.
        types: Element types; None for all of the catalog.
        sample: Elements of each type at most, drawn at random.
        seed: Seed of that draw.

    Raises:
        ElementTypeError: There is no such type.
        ParameterError: The sample is less than 1, or nothing is left.
    """
    if sample is not None and sample < 1:
        raise ParameterError(f"expected a sample of at least 1 element, got {sample}")
    names = dataset.catalog.types if not types else tuple(element_type(name).name for name in types)
    found: list[Document] = []
    for name in dict.fromkeys(names):
        elements: Sequence[Element] = dataset.catalog.of(name)
        if sample is not None and sample < len(elements):
            places = sorted(random.Random(f"{seed}\0{name}").sample(range(len(elements)), sample))
            elements = [elements[place] for place in places]
        found += [Document(element, _text(element)) for element in elements]
    if not found:
        raise ParameterError(f"dataset {dataset.name!r} has no elements of {', '.join(names) or 'any type'} to write queries for")
    return found


def _text(element: Element) -> str:
    lines = [element_type(element.element_type).text(element)]
    if isinstance(element, Step) and element.inputs:
        lines.append("inputs: " + ", ".join(item.label or split_words(item.name) for item in element.inputs))
    if isinstance(element, Field) and element.choices:
        lines.append("choices: " + ", ".join(element.choices))
    return "\n".join(lines)


LONGEST_QUERY = 400
LONGEST_RUN = 8
"""So many words of a description at most may stand in a query side by side, as they stand there."""


def fault(query: str, document: Document) -> str | None:
    """Returns why a query is of no use for its document; None for one that is.

    Returns:
        ``empty``; ``long``; ``name``: it is nothing but the label or name; ``copy``: more than ``LONGEST_RUN`` words of the
        description stand in it side by side, or all of it stands in the description.
    """
    words, element = words_of(query), document.element
    if not words:
        return "empty"
    if len(query) > LONGEST_QUERY:
        return "long"
    if words in (words_of(element.label), words_of(element.name), words_of(element.name.replace("_", " "))):
        return "name"
    prose = _spaced(words_of(element.description))
    run = min(len(words), LONGEST_RUN + 1)
    # A word or two of a description are no copy of it.
    copied = run > 2 and any(_spaced(words[place : place + run]) in prose for place in range(len(words) - run + 1))
    return "copy" if copied else None


def _spaced(words: tuple[str, ...]) -> str:
    return f" {' '.join(words)} "


def sift(dataset: Dataset, examples: Iterable[Example], dropped: Counter[str]) -> list[Example]:
    """Returns the queries that are kept: each once for an element, and none that stands in any element of its type.

    Args:
        dataset: Where the elements are.
        examples: Written queries.
        dropped: Counts what was left out, by why: ``twice``, ``leak``.
    """
    unique: dict[tuple[str, str, tuple[str, ...]], Example] = {}
    for example in examples:
        key = (example.element_type, " ".join(words_of(example.query)), example.relevant)
        dropped["twice"] += key in unique
        unique.setdefault(key, example)
    leaking = {leak.query_id for leak in find_leaks(dataset, unique.values())}
    dropped["leak"] += len(leaking)
    return [example for example in unique.values() if example.id not in leaking]


# ``refine`` is the query of REFINE (arXiv 2410.12890): what somebody would ask whom the document answers. The six others are
# those of the listwise-distillation paper (arXiv 2502.19712): a mix of them taught its retrievers more than questions alone.

REFINE = "refine"
FEW_SHOT = "few_shot"
TEMPLATE_KINDS: tuple[str, ...] = ("question", "claim", "title", "keywords", "free")
"""Kinds that there are templates for."""
KINDS: tuple[str, ...] = (REFINE, *TEMPLATE_KINDS, FEW_SHOT)
"""All kinds that the package has prompts for; a folder of prompts of your own has its own kinds."""


class WriterSettings(Settings):
    """How many queries are written, of what kinds.

    Attributes:
        kinds: Kinds of queries; empty for all that a writer can write without being given more.
        per_element: Queries of each kind for each element. REFINE writes 10 of its one kind.
        seed: Decides all chance.
    """

    kinds: tuple[str, ...] = ()
    per_element: int = pydantic.Field(default=2, ge=1, le=50)
    seed: int = 0


def check_kinds(wanted: tuple[str, ...], known: tuple[str, ...], writer: str) -> tuple[str, ...]:
    """Returns the kinds that are wanted, each once; all that are known where none is named.

    Raises:
        ParameterError: The writer does not know one.
    """
    unknown = [kind for kind in wanted if kind not in known]
    if unknown:
        raise ParameterError(f"{writer} does not write the kinds {', '.join(unknown)}; it writes {', '.join(known)}")
    return tuple(dict.fromkeys(wanted)) or known


MARK = "written-queries.json"
ANSWERS_FILE = "answers.jsonl"
"""What a chat model answered, beside the queries."""
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
    known = {ANSWERS_FILE, MARK}
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
        writer: Who wrote them: a model's name, or ``templates``.

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
