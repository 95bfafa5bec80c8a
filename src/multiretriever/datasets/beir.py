"""Folders in the form of the BEIR benchmark (Thakur et al., arXiv 2104.08663), read as datasets."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import pydantic
from pydantic import ConfigDict

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Element, ElementType, register_element_type
from multiretriever.core.errors import DatasetError, ParameterError, Problem
from multiretriever.core.example import GIVEN, Example
from multiretriever.core.query import check_query
from multiretriever.core.records import problems_of
from multiretriever.core.sources.files import parse_lines
from multiretriever.core.yaml_io import read_text
from multiretriever.datasets.dataset import Dataset

CORPUS_FILE = "corpus.jsonl"
QUERIES_FILE = "queries.jsonl"
QRELS_FOLDER = "qrels"
_HEADER = ("query-id", "corpus-id", "score")
_T = TypeVar("_T")


class Passage(Element):
    """A text of a corpus; the title is its label, the text its description."""

    element_type: Literal["passage"] = "passage"


def _passage_text(element: Any) -> str:
    # A corpus may hold a blank text; something must be embedded.
    return "\n".join(filter(None, (element.label, element.description))) or str(element.name)


PASSAGE = ElementType("passage", Passage, "passages", text=_passage_text, default_k=10)


class _Document(pydantic.BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    id: str = pydantic.Field(alias="_id", min_length=1, max_length=512)
    title: str | None = ""
    text: str


class _Query(pydantic.BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    id: str = pydantic.Field(alias="_id", min_length=1)
    text: str


class BeirDataset(Dataset):
    """A folder with ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/*.tsv``. Queries without a relevant passage are left out.

    Attributes:
        grades: How relevant the answers are, by id of the query and id of the passage; whole numbers from 1.
    """

    def __init__(self, folder: str | Path, *, name: str | None = None) -> None:
        """Reads corpus, queries and judgements, and registers the element type ``passage``.

        Raises:
            DatasetError: Something is wrong in a file; the error lists every problem with its line.
        """
        register_element_type(PASSAGE)
        folder = Path(folder)
        problems: list[Problem] = []
        passages = _unique(_lines(folder / CORPUS_FILE, _passage, problems), folder / CORPUS_FILE, problems)
        texts = _unique(_lines(folder / QUERIES_FILE, _query, problems), folder / QUERIES_FILE, problems)
        files = sorted((folder / QRELS_FOLDER).glob("*.tsv"))
        if not files:
            problems.append(Problem("no file SPLIT.tsv is there", str(folder / QRELS_FOLDER)))
        judged = {file.stem: _read_qrels(file, texts, passages, problems) for file in files}
        if problems:
            raise DatasetError(problems)
        super().__init__(Catalog(passages.values()), name=name or folder.resolve().name)
        self.grades: dict[str, dict[str, int]] = {}
        for found in judged.values():
            for query_id, grades in found.items():
                self.grades.setdefault(query_id, {}).update(grades)
        self._texts = texts
        self._judged = judged

    def only(self, split: str) -> BeirDataset:
        """Returns one split as a dataset of its own, named ``name/split``, with the whole corpus.

        Raises:
            ParameterError: There is no such split.
        """
        self._check_split(split)
        view = copy.copy(self)
        view.name, view._judged = f"{self.name}/{split}", {"": self._judged[split]}
        view.__dict__.pop("splits", None)
        return view

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Names of the files in ``qrels``."""
        return tuple(filter(None, self._judged))

    def given(self, split: str | None = None) -> Iterator[Example]:
        """Yields the queries of a split (``qrels/SPLIT.tsv``), or of all.

        Raises:
            ParameterError: There is no such split.
        """
        self._check_split(split)
        wanted = [query_id for name, found in self._judged.items() if split in (None, "", name) for query_id in found]
        for query_id in dict.fromkeys(wanted):
            yield Example(query_id, PASSAGE.name, self._texts[query_id], tuple(self.grades[query_id]))

    def examples(self, split: str | None = None, kinds: Collection[str] | None = None) -> Iterator[Example]:
        """Yields what ``given`` gives. Equal queries stay apart, since other programs count them so."""
        if kinds is None or GIVEN in kinds:
            yield from self.given(split)


def is_beir(path: str | Path) -> bool:
    """Tells whether a path is a folder of this form."""
    folder = Path(path)
    return (folder / CORPUS_FILE).is_file() and (folder / QUERIES_FILE).is_file() and (folder / QRELS_FOLDER).is_dir()


def open_dataset(path: str | Path) -> Dataset:
    """Reads a dataset folder, a BEIR folder, or a catalog with flows; ``PATH@SPLIT`` is one split of it.

    Raises:
        ParameterError: There is no such split.
        CatalogError, DatasetError: What is there cannot be read.
    """
    whole, sign, split = str(path).rpartition("@")
    if sign and not Path(path).exists():
        return open_dataset(whole).only(split)
    return BeirDataset(path) if is_beir(path) else Dataset.from_path(path)


def _passage(value: Any) -> tuple[str, Passage]:
    found = _Document.model_validate(value)
    made = Passage(id=found.id, name=found.id, label=(found.title or "").strip(), description=found.text)
    return made.id, made


def _query(value: Any) -> tuple[str, str]:
    found = _Query.model_validate(value)
    return found.id, check_query(found.text)


def _lines(path: Path, read: Callable[[Any], tuple[str, _T]], problems: list[Problem]) -> Iterator[tuple[int, str, _T]]:
    """Yields line, id and value of each line of a JSON Lines file; what is wrong goes to ``problems``."""
    text = read_text(path)
    if isinstance(text, Problem):
        problems.append(text)
        return
    for number, document in parse_lines(text, str(path), problems):
        try:
            yield number, *read(document.value)
        except pydantic.ValidationError as error:
            problems.extend(problems_of(error, source=str(path), line=partial(_at, number)))
        except ParameterError as error:
            problems.append(Problem(str(error), str(path), number, "text"))


def _at(number: int, path: tuple[str | int, ...]) -> int:
    return number


def _unique(found: Iterator[tuple[int, str, _T]], path: Path, problems: list[Problem]) -> dict[str, _T]:
    values: dict[str, _T] = {}
    first: dict[str, int] = {}
    for number, key, value in found:
        if key in values:
            message = f"the id {key!r} appears twice; ids must be unique (first: line {first[key]})"
            problems.append(Problem(message, str(path), number, "_id"))
        else:
            values[key], first[key] = value, number
    return values


def _read_qrels(
    path: Path, texts: Mapping[str, str], passages: Mapping[str, Passage], problems: list[Problem]
) -> dict[str, dict[str, int]]:
    """Reads judgements; those of 0 and less say that a passage is not relevant."""
    text = read_text(path)
    if isinstance(text, Problem):
        problems.append(text)
        return {}
    rows = [line.rstrip("\r").split("\t") for line in text.split("\n")]
    if tuple(rows[0]) != _HEADER:
        shown = ", ".join(rows[0])
        problems.append(
            Problem(f"the header {', '.join(_HEADER)} is expected, separated by tabs (got {shown!r:.80})", str(path), 1)
        )
        return {}
    grades: dict[str, dict[str, int]] = {}
    for number, cells in enumerate(rows[1:], start=2):
        if cells == [""]:
            continue
        message = _fault(cells, texts, passages, grades)
        if message:
            problems.append(Problem(message, str(path), number))
        else:
            grades.setdefault(cells[0], {})[cells[1]] = int(cells[2])
    positive = {query: {key: grade for key, grade in found.items() if grade > 0} for query, found in grades.items()}
    return {query: found for query, found in positive.items() if found}


def _fault(
    cells: list[str], texts: Mapping[str, str], passages: Mapping[str, Passage], grades: Mapping[str, Mapping[str, int]]
) -> str | None:
    if len(cells) != len(_HEADER):
        return f"{len(_HEADER)} cells are expected, separated by tabs (got {len(cells)})"
    query, passage, score = cells
    if query not in texts:
        return f"there is no query {query!r} in {QUERIES_FILE}"
    if passage not in passages:
        return f"there is no passage {passage!r} in {CORPUS_FILE} (query {query!r})"
    if not score.removeprefix("-").isdecimal():
        return f"the score must be a whole number (got {score!r})"
    return f"query {query!r} and passage {passage!r} are judged twice" if passage in grades.get(query, ()) else None
