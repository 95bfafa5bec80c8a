"""A dataset: a catalog, flows, and queries with their answers; flows are read one by one, so that any number fits in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pydantic
from pydantic import ConfigDict

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Workflow, element_type
from multiretriever.core.errors import DatasetError, ElementTypeError, FlowError, ParameterError, Problem
from multiretriever.core.example import GIVEN, Example
from multiretriever.core.flows import Flow, parse_flows
from multiretriever.core.query import check_context, check_query
from multiretriever.core.records import ProblemLog, problems_of
from multiretriever.core.sources.detection import DATASET_FILE, DatasetSettings, read_settings
from multiretriever.core.sources.files import parse_json, parse_lines, walk
from multiretriever.core.yaml_io import read_text
from multiretriever.datasets.examples import EVALUATED_KINDS, FlowExamples, element_examples

YAML_SUFFIXES = (".yaml", ".yml")
LINE_SUFFIXES = (".jsonl", ".ndjson")
_QUERIES = ("step", "table", "field", "catalog_item", "workflow")


class Dataset:
    """A dataset folder (``dataset.yaml``, a catalog, flows, queries), or a catalog and flows of any origin.

    Attributes:
        name: Name in reports.
        catalog: Its elements.
        settings: What ``dataset.yaml`` says.
        folder: Folder that it was read from; None for one made of parts.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        name: str = "dataset",
        flows: Iterable[Flow] = (),
        queries: Iterable[Example] = (),
        settings: DatasetSettings | None = None,
        folder: Path | None = None,
    ) -> None:
        """Makes a dataset of its parts; ``flows`` and ``queries`` come in addition to those of the folder, if there is one."""
        self.name = name
        self.catalog = catalog
        self.settings = settings or DatasetSettings()
        self.folder = folder
        self._flows = flows if isinstance(flows, Collection) else tuple(flows)
        self._queries = tuple(queries)
        # The files of one split, where this is no more than that.
        self._given_parts: dict[str, dict[str, list[Path]]] | None = None

    @classmethod
    def from_path(cls, *paths: str | Path, name: str | None = None) -> Dataset:
        """Reads a dataset folder; or a catalog in any form that ``Catalog.from_path`` reads, with the flows among it.

        The workflows of the catalog are then known by label and description alone, so that requirements can be queries.

        Raises:
            CatalogError: Something is wrong in the catalog.
            DatasetError: Something is wrong in ``dataset.yaml``. Queries and flows are read later, when they are asked for.
        """
        folder = Path(paths[0]) if len(paths) == 1 else None
        if folder is not None and folder.name == DATASET_FILE:
            folder = folder.parent
        if folder is None or not (folder / DATASET_FILE).is_file():
            catalog = Catalog.from_path(*paths)
            flows = [item.flow for item in catalog.of("workflow") if item.flow is not None]
            return cls(_without_flows(catalog), name=name or Path(paths[0]).stem, flows=flows)
        settings = read_settings(folder)
        if isinstance(settings, list):
            raise DatasetError(settings)
        found = name or settings.name or folder.resolve().name
        return cls(Catalog.from_path(folder), name=found, settings=settings, folder=folder)

    def only(self, split: str) -> Dataset:
        """Returns one split as a dataset of its own, named ``name/split``, with the whole catalog.

        Raises:
            ParameterError: There is no such split.
        """
        self._check_split(split)
        parts = {part: {"": paths} for part in ("flows", "queries") if (paths := self._paths(part, split))}
        view = Dataset(
            self.catalog,
            name=f"{self.name}/{split}",
            flows=self._flows,
            queries=self._queries,
            settings=self.settings,
            folder=self.folder,
        )
        view._given_parts = {"flows": {}, "queries": {}, **parts}
        return view

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Names of its splits; empty where it is not split."""
        names = [split for part in ("flows", "queries") for split in self._parts(part)]
        return tuple(dict.fromkeys(filter(None, names)))

    def flows(self, split: str | None = None) -> Iterator[Flow]:
        """Yields the flows of a split, or of all splits, one after another.

        Raises:
            FlowError: A flow is not valid.
            ParameterError: There is no such split.
        """
        self._check_split(split)
        yield from self._flows
        yield from iter_flows(*self._paths("flows", split))

    def given(self, split: str | None = None) -> Iterator[Example]:
        """Yields the queries that somebody wrote down with their answers.

        Raises:
            DatasetError: A file of queries is not valid.
            ParameterError: There is no such split.
        """
        self._check_split(split)
        yield from self._queries
        for path in self._paths("queries", split):
            yield from read_queries(path, language=self.settings.language)

    def stream(
        self,
        split: str | None = None,
        kinds: Collection[str] | None = None,
        *,
        descriptions: Collection[str] = (),
        on_flow: Callable[[Flow], object] | None = None,
    ) -> Iterator[Example]:
        """Yields the queries that are written down and those that are made of flows, without keeping any.

        Args:
            split: Name of a split; None for all of it.
            kinds: Kinds of queries: template ids (see ``FLOW_KINDS``) and ``given``; None for ``EVALUATED_KINDS`` and the given.
            descriptions: Element types whose descriptions are queries as well. The description is then hidden from the answer.
            on_flow: Called with each flow before queries are made of it, say for progress.

        Raises:
            DatasetError, FlowError: A file is not valid.
            ParameterError: There is no such split.
        """
        wanted = (*EVALUATED_KINDS, GIVEN) if kinds is None else kinds
        if kinds is None or GIVEN in kinds:
            yield from self.given(split)
        made = FlowExamples(self.catalog, wanted, language=self.settings.language)
        for number, flow in enumerate(self.flows(split)):
            if on_flow is not None:
                on_flow(flow)
            yield from made.of(flow, number)
        yield from element_examples(self.catalog, descriptions, language=self.settings.language)

    def examples(self, split: str | None = None, kinds: Collection[str] | None = None) -> Iterator[Example]:
        """Yields what ``stream`` gives, with equal queries (type, kind, text and context) made one that has the answers of all.

        Short annotations such as "tell them" come in many flows; each answer would count as wrong for the others.
        """
        merged: dict[str, Example] = {}
        for example in self.stream(split, kinds):
            key = _key(example)
            before = merged.get(key)
            if before is None:
                merged[key] = example
            else:
                relevant = tuple(dict.fromkeys((*before.relevant, *example.relevant)))
                merged[key] = replace(before, relevant=relevant)
        yield from merged.values()

    def _parts(self, part: str) -> dict[str, list[Path]]:
        if self._given_parts is not None:
            return self._given_parts[part]
        return {} if self.folder is None else self.settings.parts(part, self.folder)

    def _paths(self, part: str, split: str | None) -> list[Path]:
        return [path for name, paths in self._parts(part).items() if split in (None, "", name) for path in paths]

    def _check_split(self, split: str | None) -> None:
        if split and split not in self.splits:
            known = f"its splits are {', '.join(self.splits)}" if self.splits else "it has no splits"
            raise ParameterError(f"dataset {self.name!r} has no split {split!r}; {known}")

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {self.catalog!r})"


def _without_flows(catalog: Catalog) -> Catalog:
    return Catalog(
        item.model_copy(update={"flow": None}) if isinstance(item, Workflow) and item.flow is not None else item
        for item in catalog
    )


def _key(example: Example) -> str:
    context = {key: getattr(value, "to_dict", lambda value=value: value)() for key, value in example.context.items()}
    text = " ".join(example.query.casefold().split())
    return json.dumps([example.element_type, example.kind, example.language, text, context], sort_keys=True, default=str)


def summary_row(dataset: Dataset, split: str | None = None) -> dict[str, Any]:
    """Returns the sizes of a dataset: elements, flows and steps in flows, and the queries that evaluation makes of them.

    Raises:
        DatasetError, FlowError: A file is not valid.
        ParameterError: There is no such split.
    """
    flows = steps = 0
    for flow in dataset.flows(split):
        flows += 1
        steps += len(flow.steps)
    counts = dataset.catalog.counts
    queries = dict.fromkeys(_QUERIES, 0)
    for example in dataset.examples(split):
        queries[example.element_type] = queries.get(example.element_type, 0) + 1
    return {
        "dataset": dataset.name,
        "scopes": len({step.scope for step in dataset.catalog.of("step")}),
        **{f"{name}s": counts.get(name, 0) for name in _QUERIES},
        "flows": flows,
        "steps_in_flows": steps,
        **{f"{name}_queries": count for name, count in queries.items()},
    }


class _Line(pydantic.BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    id: str = pydantic.Field(min_length=1)
    element_type: str
    query: str
    relevant: list[str] = pydantic.Field(min_length=1)
    context: dict[str, Any] = pydantic.Field(default_factory=dict)
    language: str = ""
    kind: str = GIVEN


def read_queries(path: str | Path, *, language: str = "en") -> Iterator[Example]:
    """Reads a ``queries.jsonl``.

    A line is an object with ``id``, ``element_type``, ``query`` and ``relevant``, and may have ``context``, ``language`` and
    ``kind``; other keys are left to other tools.

    Args:
        path: The file, or a folder of such files.
        language: Language of the queries that name none.

    Raises:
        DatasetError: Something is wrong in the file; the error lists every problem with its line, and nothing is given.
    """
    path = Path(path)
    examples: list[Example] = []
    problems: list[Problem] = []
    for file in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
        text = read_text(file)
        if isinstance(text, Problem):
            problems.append(text)
            continue
        for number, document in parse_lines(text, str(file), problems):
            found = _example(document.value, str(file), number, language)
            if isinstance(found, Example):
                examples.append(found)
            else:
                problems.extend(found)
    if problems:
        raise DatasetError(problems)
    yield from examples


def _example(given: Any, source: str, number: int, language: str) -> Example | list[Problem]:
    try:
        value = _Line.model_validate(given)
        check_query(value.query)
        check_context(value.context)
        name = element_type(value.element_type).name
    except pydantic.ValidationError as error:
        return problems_of(error, source=source, line=lambda path: number)
    except ElementTypeError as error:
        return [Problem(str(error), source, number, "element_type")]
    except ParameterError as error:
        return [Problem(str(error), source, number)]
    relevant = tuple(dict.fromkeys(value.relevant))
    return Example(value.id, name, value.query, relevant, value.context, value.kind, value.language or language)


def iter_flows(*paths: str | Path) -> Iterator[Flow]:
    """Yields the flows of files and folders, in order of their names: YAML files file by file, JSON Lines line by line.

    Raises:
        FlowError: A path does not exist or holds no flows, or a flow is not valid; flows before it have been given by then.
    """
    for path in map(Path, paths):
        files = list(_files(path))
        if not files:
            raise FlowError([Problem("no flow (.yaml, .yml, .jsonl, .ndjson) is there", str(path))])
        for file in files:
            yield from _lines(file) if file.suffix.lower() in LINE_SUFFIXES else _yaml(file)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path  # reading it reports what is wrong, if anything is
        return
    log = ProblemLog()
    for _, files in walk(path, log):
        yield from (file for file in files if file.suffix.lower() in (*YAML_SUFFIXES, *LINE_SUFFIXES))
    if log.problems:
        raise FlowError(log.problems)


def _yaml(file: Path) -> Iterator[Flow]:
    text = read_text(file)
    if isinstance(text, Problem):
        raise FlowError([text])
    yield from parse_flows(text, source=str(file))


def _lines(file: Path) -> Iterator[Flow]:
    try:
        with file.open(encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _flow(line, str(file), number)
    except (OSError, UnicodeDecodeError) as error:
        raise FlowError([Problem(f"the file cannot be read as UTF-8 text: {error}", str(file))]) from error


def _flow(line: str, source: str, number: int) -> Flow:
    document = parse_json(line, source, number)
    if isinstance(document, list):
        raise FlowError(document)
    try:
        return Flow.model_validate(document.value)
    except pydantic.ValidationError as error:
        raise FlowError(problems_of(error, source=source, line=document.line)) from error
