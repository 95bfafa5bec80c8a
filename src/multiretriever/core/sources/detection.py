"""Telling by what is in it how a path is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from multiretriever.core.errors import Problem
from multiretriever.core.records import ProblemLog, Record, Source
from multiretriever.core.sources.csv_files import CsvSource
from multiretriever.core.sources.dataset_folder import DATASET_FILE, DatasetSource
from multiretriever.core.sources.file_kinds import KINDS, file_source, is_read
from multiretriever.core.sources.files import walk
from multiretriever.core.sources.sql import SqlSource

FLOW_FOLDER = "flows"
READ = (
    "read are .yaml and .yml (catalogs, flows, OpenAPI), .json (elements, OpenAPI, tools), .jsonl and .ndjson, .csv, "
    ".db, .sqlite and .sqlite3, folders of them, and database URLs"
)


@dataclass(frozen=True)
class RefusedSource:
    """Something that is no source. It gives no record, and says why when it is read, together with all other problems."""

    problem: Problem

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives nothing; the problem goes to the log."""
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
        """Gives the records of all files; what is wrong goes to the log with its file and line."""
        found = False
        for folder, files in walk(self.path, log, stop_at=DATASET_FILE):
            in_flows = FLOW_FOLDER in (self.path.resolve().name, *folder.relative_to(self.path).parts)
            if any(file.name == DATASET_FILE for file in files):
                found = True
                yield from DatasetSource(folder).read(log)
                continue
            for file in files:
                if is_read(file):
                    found = True
                    yield from file_source(file, in_flows=in_flows).read(log)
        if not found:
            log.add(f"the folder holds nothing that is read; {READ}", str(self))

    def __str__(self) -> str:
        return str(self.path)


def source_of(path: str | Path) -> Source:
    """Returns the source that reads a file, a folder or a database URL; its kind is told by what it holds.

    A path that cannot be read gives a source as well: reading it reports why, together with the problems of other sources.

    Raises:
        MissingDependencyError: A database is to be read, and SQLAlchemy is not installed.
    """
    if isinstance(path, str) and "://" in path:
        return SqlSource(path)
    path = Path(path)
    if path.name == DATASET_FILE and path.is_file():
        path = path.parent
    if path.is_dir():
        return _folder_source(path)
    if path.suffix.lower() not in KINDS:
        reason = f"{path.suffix or 'a file without suffix'} is not read" if path.exists() else "there is no such file or folder"
        return RefusedSource(Problem(f"{reason}; {READ}", str(path)))
    return file_source(path, in_flows=path.resolve().parent.name == FLOW_FOLDER)


def _folder_source(folder: Path) -> Source:
    if (folder / DATASET_FILE).is_file():
        return DatasetSource(folder)
    suffixes = {
        (file.suffix.lower(), below == folder) for below, files in walk(folder, ProblemLog()) for file in files if is_read(file)
    }
    # Beside other files, the CSV files are read one by one, so that nothing in the folder is passed over.
    return CsvSource(folder) if suffixes == {(".csv", True)} else FolderSource(folder)
