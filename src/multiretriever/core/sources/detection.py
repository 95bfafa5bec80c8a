"""How a path is read, recognised by what is in it: the kinds of files, dataset folders, and folders of anything.

A file that is read to recognise its kind is handed to its source as it was parsed, so that each is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import BeforeValidator, ConfigDict

from multiretriever.core.elements import element_type
from multiretriever.core.errors import ElementTypeError, Problem
from multiretriever.core.records import ProblemLog, Record, Source, problems_of
from multiretriever.core.sources.catalog_files import JsonSource, YamlSource
from multiretriever.core.sources.csv_files import CsvSource
from multiretriever.core.sources.files import list_folder, parse_file, walk
from multiretriever.core.sources.flow_files import FlowSource
from multiretriever.core.sources.openapi import OpenApiSource
from multiretriever.core.sources.sql import NO_SQLITE, SqlSource, sqlite_file_fault
from multiretriever.core.sources.tool_lists import ToolSource
from multiretriever.core.yaml_io import is_null, name_of, parse_yaml, read_text

DATASET_FILE = "dataset.yaml"
FLOW_FOLDER = "flows"
READ = (
    "read are .yaml and .yml (catalogs, flows, OpenAPI), .json (elements, OpenAPI, tools), .jsonl and .ndjson, .csv, "
    ".db, .sqlite and .sqlite3, folders of them, and database URLs"
)


def source_of(path: str | Path) -> Source:
    """Returns the source that reads a file, a folder or a database URL; its kind is recognised by what it holds.

    A path that cannot be read has a source as well: reading it reports why, together with the problems of other sources.

    Raises:
        MissingDependencyError: A database is to be read, and SQLAlchemy is not installed.
    """
    if isinstance(path, str) and "://" in path:
        return SqlSource(path)
    path = Path(path)
    if path.name == DATASET_FILE and path.is_file():
        path = path.parent
    if path.is_dir():
        return DatasetSource(path) if (path / DATASET_FILE).is_file() else FolderSource(path)
    if path.suffix.lower() not in KINDS:
        reason = f"{path.suffix or 'a file without suffix'} is not read" if path.exists() else "there is no such file or folder"
        return RefusedSource(Problem(f"{reason}; {READ}", str(path)))
    return _file_source(path, in_flows=path.resolve().parent.name == FLOW_FOLDER)


def _is_read(file: Path) -> bool:
    """Tells whether a file in a folder is one that is read."""
    # In a folder, a .db that is no SQLite database is something else, such as the thumbnails of Windows.
    suffix = file.suffix.lower()
    return suffix in KINDS and not (suffix == ".db" and sqlite_file_fault(file) == NO_SQLITE)


def _file_source(path: Path, *, in_flows: bool) -> Source:
    """Returns the source of a file of a suffix in ``KINDS``; YAML files of a flows folder are flows in any case."""
    return KINDS[path.suffix.lower()](path, in_flows)


def _yaml_source(path: Path, in_flows: bool) -> Source:
    if in_flows:
        return FlowSource(path)
    parsed = parse_file(path)
    for document in parsed.documents:
        for value in document.value if isinstance(document.value, list) else [document.value]:
            if _is_openapi(value):
                return OpenApiSource(path, parsed=parsed)
            if _is_flow(value):
                return FlowSource(path, parsed=parsed)
    return YamlSource(path, parsed=parsed)


def _json_source(path: Path, in_flows: bool) -> Source:
    parsed = parse_file(path)
    for document in parsed.documents:
        if _is_openapi(document.value):
            return OpenApiSource(path, parsed=parsed)
        if _holds_tools(document.value):
            return ToolSource(path, parsed=parsed)
    return JsonSource(path, parsed=parsed)


def _is_openapi(value: Any) -> bool:
    return isinstance(value, Mapping) and ("openapi" in value or "swagger" in value)


def _is_flow(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    steps = value.get("steps")
    first = steps[0] if isinstance(steps, list) and steps else None
    has_flow_steps = isinstance(first, Mapping) and bool({"annotation", "order"} & first.keys())
    return "requirement" in value or "trigger" in value or has_flow_steps


def _holds_tools(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, Mapping) and ("inputSchema" in item or "input_schema" in item) for item in value)
    if not isinstance(value, Mapping):
        return False
    result = value.get("result")
    return "tools" in value or (isinstance(result, Mapping) and "tools" in result)


KINDS: dict[str, Callable[[Path, bool], Source]] = {
    ".yaml": _yaml_source,
    ".yml": _yaml_source,
    ".json": _json_source,
    ".jsonl": lambda path, in_flows: JsonSource(path),
    ".ndjson": lambda path, in_flows: JsonSource(path),
    ".csv": lambda path, in_flows: CsvSource(path),
    ".db": lambda path, in_flows: SqlSource(path),
    ".sqlite": lambda path, in_flows: SqlSource(path),
    ".sqlite3": lambda path, in_flows: SqlSource(path),
}


@dataclass(frozen=True)
class RefusedSource:
    """Something that is no source. It has no record, and says why when it is read, together with all other problems."""

    problem: Problem

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Yields nothing; the problem goes to the log."""
        log.problems.append(self.problem)
        return ()

    def __str__(self) -> str:
        return self.problem.source


class FolderSource:
    """A folder of files of any kind that is read, and all below it, by name.

    Hidden files and files of other kinds are left out. YAML files in a folder named ``flows`` are flows. A folder with
    ``dataset.yaml`` is read as a dataset.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Yields the records of all files; what is wrong goes to the log with its file and line."""
        found = False
        for folder, files in walk(self.path, log, stop_at=DATASET_FILE):
            in_flows = FLOW_FOLDER in (self.path.resolve().name, *folder.relative_to(self.path).parts)
            if any(file.name == DATASET_FILE for file in files):
                found = True
                yield from DatasetSource(folder).read(log)
                continue
            for file in files:
                if _is_read(file):
                    found = True
                    yield from _file_source(file, in_flows=in_flows).read(log)
        if not found:
            log.add(f"the folder holds nothing that is read; {READ}", str(self))

    def __str__(self) -> str:
        return str(self.path)


class DatasetSource:
    """The catalog of a folder with ``dataset.yaml``: ``catalog/<element_type>.jsonl``, or what the file names under ``catalog``.

    What it names under ``workflows`` are stored flows, which become workflows without their requirement and annotations.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Yields the records of all files of the catalog; what is wrong goes to the log with its file and line."""
        settings = read_settings(self.path)
        if isinstance(settings, list):
            log.problems.extend(settings)
            settings = DatasetSettings()
        for name in settings.catalog:
            yield from self._part(self.path / name, log)
        for name in settings.workflows:
            for record in FlowSource(self.path / name).read(log):
                # The requirement is what people search with; a document that held it would be found by every word of the query.
                yield replace(record, values={key: value for key, value in record.values.items() if key != "flow"})

    def _part(self, path: Path, log: ProblemLog) -> Iterator[Record]:
        if path.is_dir():
            yield from _catalog_folder(path, log)
        elif path.exists():
            yield from source_of(path).read(log)
        elif path == self.path / "catalog":
            log.add("there is no folder 'catalog' beside dataset.yaml", str(self))
        else:
            log.add("there is no such file or folder (dataset.yaml names it under 'catalog')", str(path))

    def __str__(self) -> str:
        return str(self.path)


def _catalog_folder(folder: Path, log: ProblemLog) -> Iterator[Record]:
    files = [file for file in list_folder(folder, log) if file.is_file() and _is_read(file)]
    if not files:
        log.add("no file <element_type>.jsonl is there, nor any other that is read", str(folder))
    for file in files:
        if file.suffix.lower() != ".jsonl":
            yield from _file_source(file, in_flows=False).read(log)
            continue
        try:
            element_type(file.stem)
        except ElementTypeError as error:
            log.add(f"the file is named after no type: {error}", str(file))
            continue
        yield from JsonSource(file).read(log)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _by_split(value: Any) -> Any:
    return value if isinstance(value, Mapping) else {"": value}


Paths = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
SplitPaths = Annotated[dict[str, Paths], BeforeValidator(_by_split)]


class DatasetSettings(pydantic.BaseModel):
    """What ``dataset.yaml`` says. Paths are relative to its folder; other keys (note, url, ...) are the user's own.

    Attributes:
        name: Name in reports; the folder's name where it is blank.
        licence: Licence of the data.
        source: Where the data come from.
        language: Language of queries that name none, as an ISO 639-1 code.
        catalog: Files and folders of the catalog.
        workflows: Files and folders of flows that are stored workflows: elements of the catalog known by label and description
            alone, so that their requirements can be queries.
        flows: Files and folders of flows that queries are made of, by split (or without a split).
        queries: Files of queries, by split (or without a split).
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = ""
    licence: str = ""
    source: str = ""
    language: str = "en"
    catalog: Paths = ("catalog",)
    workflows: Paths = ()
    flows: SplitPaths | None = None
    queries: SplitPaths | None = None

    def parts(self, part: str, folder: Path) -> dict[str, list[Path]]:
        """Returns the paths of ``flows`` or ``queries`` by split; without any given, the usual ones that are there."""
        given: dict[str, tuple[str, ...]] | None = getattr(self, part)
        if given is not None:
            return {split: [folder / path for path in paths] for split, paths in given.items()}
        usual = [folder / f"{part}.jsonl", *([folder / part] if part == "flows" else [])]
        found = [path for path in usual if path.exists()]
        return {"": found} if found else {}


def read_settings(folder: Path) -> DatasetSettings | list[Problem]:
    """Reads ``dataset.yaml`` of a folder, or returns the problems that it has."""
    path = folder / DATASET_FILE
    text = read_text(path)
    if isinstance(text, Problem):
        return [text]
    documents = parse_yaml(text, str(path))
    if isinstance(documents, Problem):
        return [documents]
    if not text.strip():
        return [Problem("the file is empty", str(path))]
    value: Any = documents[0].value if documents else None
    if len(documents) > 1 or not (is_null(value) or isinstance(value, dict)):
        return [Problem(f"expected a mapping, got {name_of(value)}", str(path), 1)]
    values = {} if is_null(value) else {key: item for key, item in value.items() if not is_null(item)}
    try:
        return DatasetSettings.model_validate(values)
    except pydantic.ValidationError as error:
        return problems_of(error, source=str(path), line=documents[0].line)
