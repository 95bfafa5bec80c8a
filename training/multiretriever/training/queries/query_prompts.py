"""What a chat model is asked (a prompt from a file, examples, the document), and the queries in its answer.

Prompts are files, so that they can be read, compared and replaced. Text of a catalog is data: it is put between marks that it
cannot close, after the prompt, and nothing is ever formatted into anything.
"""

from __future__ import annotations

import html
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from multiretriever.core.errors import DatasetError, ParameterError, Problem
from multiretriever.core.example import Example
from multiretriever.core.yaml_io import read_text
from multiretriever.datasets import Dataset
from multiretriever.training.queries.documents import FEW_SHOT, KINDS, Document, documents_of

SUFFIXES = (".md", ".txt")
SHOTS = 3
"""Examples in a few-shot prompt, as many as in arXiv 2502.19712."""


@dataclass(frozen=True)
class Request:
    """One call of a chat model: queries of one kind for one document.

    Attributes:
        kind: Kind of the queries.
        document: The document.
        system: The prompt, with examples where it has any, and the form of the answer.
        message: Document and number.
    """

    kind: str
    document: Document
    system: str
    message: str


class Prompts:
    """Prompts by kind, and how a request is made of them."""

    def __init__(self, texts: Mapping[str, str], *, examples: Sequence[tuple[Document, str]] = ()) -> None:
        """Makes a set of prompts.

        Args:
            texts: Prompts by kind.
            examples: Documents with a query that somebody wrote, for the kind ``few_shot``.
        """
        self._texts = dict(texts)
        self._examples = tuple(examples)
        self._form = _packaged("_answer_form")

    @classmethod
    def default(cls, *, examples: Sequence[tuple[Document, str]] = ()) -> Prompts:
        """Returns the prompts of the package."""
        return cls({kind: _packaged(kind) for kind in KINDS}, examples=examples)

    @classmethod
    def from_path(cls, folder: str | Path, *, examples: Sequence[tuple[Document, str]] = ()) -> Prompts:
        """Reads a folder with a file for each kind: ``KIND.md`` or ``KIND.txt``.

        Files whose names start with ``_`` or ``README`` are left out. The form of the answer is put after each by the package.

        Raises:
            ParameterError: There is no such folder, no prompt in it, or one that is blank.
            DatasetError: A file cannot be read as text.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise ParameterError(f"there is no folder {folder}; expected a folder with prompts (KIND.md)")
        texts: dict[str, str] = {}
        for file in sorted(folder.iterdir()):
            if file.suffix not in SUFFIXES or file.name.startswith(("_", "README")):
                continue
            text = read_text(file)
            if isinstance(text, Problem):
                raise DatasetError([text])
            if not text.strip() or file.stem in texts:
                raise ParameterError(f"{file} is blank, or there are two prompts for the kind {file.stem!r}")
            texts[file.stem] = text
        if not texts:
            raise ParameterError(f"{folder} has no prompts; each kind is a file KIND.md or KIND.txt")
        return cls(texts, examples=examples)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that can be asked for; ``few_shot`` is one only where examples were given."""
        return tuple(kind for kind in self._texts if kind != FEW_SHOT or self._examples)

    def request(self, kind: str, document: Document, number: int, seed: int = 0) -> Request:
        """Returns what a model is asked for one kind and document."""
        parts = [self._texts[kind].strip()]
        if kind == FEW_SHOT:
            parts.append(self._shots(document, seed))
        system = "\n\n".join([*parts, self._form.strip()])
        return Request(kind, document, system, f"{_block('document', document.text)}\n\n{_block('number', str(number))}")

    def _shots(self, document: Document, seed: int) -> str:
        """Chooses examples for a document: of its own type where there are any, and never one that looks for it."""
        element = document.element
        others = [item for item in self._examples if item[0].element.id != element.id]
        near = [item for item in others if item[0].element.element_type == element.element_type] or others
        rng = random.Random(f"{seed}\0{element.element_type}\0{element.id}\0shots")
        chosen = rng.sample(near, min(SHOTS, len(near)))
        blocks = [f"{_block('example_document', shown.text)}\n{_block('example_query', query)}" for shown, query in chosen]
        return "\n\n".join(blocks)


def examples_of(dataset: Dataset, written: Sequence[Example]) -> list[tuple[Document, str]]:
    """Returns queries that people wrote with the documents that answer them, for few-shot prompts.

    Raises:
        ParameterError: None of the queries has an answer in the dataset.
    """
    documents = {(item.element.element_type, item.element.id): item for item in documents_of(dataset)}
    found = [(documents[key], item.query) for item in written if (key := (item.element_type, item.relevant[0])) in documents]
    if not found:
        raise ParameterError(f"none of the {len(written)} example queries has its answer in dataset {dataset.name!r}")
    return found


def _packaged(name: str) -> str:
    return resources.files(__package__).joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")


def _block(name: str, text: str) -> str:
    # The text must not be able to close the element that it stands in.
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<{name}>\n{safe}\n</{name}>"


_FENCE = re.compile(r"```[a-z]*\s*\n(.*?)```", re.DOTALL)
_ITEM = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*\u2022])\s+(?P<text>.+?)\s*$", re.MULTILINE)
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "`": "`"}


def read_answer(text: str, number: int) -> list[str]:
    """Returns the queries in an answer, each once, at most ``number``; none where it holds none.

    Read are the JSON object that was asked for, a bare JSON list, either of them in a code block or among other text, and a
    list with numbers or dashes. Prose (a refusal, say) is not taken for a query.
    """
    text = _THOUGHT.sub("", text)
    found = _from_json(text)
    if found is None:
        found = [match["text"] for match in _ITEM.finditer(text)]
    unique: dict[str, str] = {}
    for item in filter(None, map(_clean, found)):
        unique.setdefault(item.lower(), item)
    return list(unique.values())[:number]


def _from_json(text: str) -> list[str] | None:
    fenced = _FENCE.search(text)
    for candidate in filter(None, (fenced[1] if fenced else None, text)):
        for start, end in (("{", "}"), ("[", "]")):
            first, last = candidate.find(start), candidate.rfind(end)
            queries = _queries(candidate[first : last + 1]) if 0 <= first < last else None
            if queries is not None:
                return queries
    return None


def _queries(text: str) -> list[str] | None:
    try:
        value: Any = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        value = value.get("queries", next((item for item in value.values() if isinstance(item, list)), None))
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return None
    # Some models answer with objects such as {"query": "..."}.
    plain = (next((v for v in item.values() if isinstance(v, str)), "") if isinstance(item, dict) else item for item in value)
    return [item for item in plain if isinstance(item, str)]


def _clean(text: str) -> str:
    text = " ".join(html.unescape(text).encode("utf-8", "replace").decode("utf-8").split())
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    return text
