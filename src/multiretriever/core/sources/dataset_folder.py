"""Dataset folders: the form in which catalogs are exchanged with evaluation and training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from multiretriever.core.datasets.settings import DATASET_FILE, DatasetSettings, read_settings
from multiretriever.core.errors import ElementTypeError
from multiretriever.core.records import ProblemLog, Record
from multiretriever.core.registry import element_type
from multiretriever.core.sources.files import list_folder
from multiretriever.core.sources.flow_files import FlowSource
from multiretriever.core.sources.json_files import JsonSource

__all__ = ["DATASET_FILE", "DatasetSource"]


class DatasetSource:
    """The catalog of a folder with ``dataset.yaml``: ``catalog/<element_type>.jsonl``, or what the file names under ``catalog``.

    What it names under ``workflows`` are stored flows, which become workflows without their requirement and annotations.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives the records of all files of the catalog; what is wrong goes to the log with its file and line."""
        settings = read_settings(self.path)
        if isinstance(settings, list):
            log.problems.extend(settings)
            settings = DatasetSettings()
        for name in settings.catalog:
            yield from self._part(self.path / name, log)
        for name in settings.workflows:
            yield from map(_stored, FlowSource(self.path / name).read(log))

    def _part(self, path: Path, log: ProblemLog) -> Iterator[Record]:
        from multiretriever.core.sources.detection import source_of

        if path.is_dir():
            yield from _folder(path, log)
        elif path.exists():
            yield from source_of(path).read(log)
        elif path == self.path / "catalog":
            log.add("there is no folder 'catalog' beside dataset.yaml", str(self))
        else:
            log.add("there is no such file or folder (it stands under 'catalog')", str(path))

    def __str__(self) -> str:
        return str(self.path)


def _folder(folder: Path, log: ProblemLog) -> Iterator[Record]:
    from multiretriever.core.sources.file_kinds import file_source, is_read

    files = [file for file in list_folder(folder, log) if file.is_file() and is_read(file)]
    if not files:
        log.add("no file <element_type>.jsonl is there, nor any other that is read", str(folder))
    for file in files:
        if file.suffix.lower() != ".jsonl":
            yield from file_source(file, in_flows=False).read(log)
            continue
        try:
            element_type(file.stem)
        except ElementTypeError as error:
            log.add(f"the file is named after no type: {error}", str(file))
            continue
        yield from JsonSource(file).read(log)


def _stored(record: Record) -> Record:
    # The requirement is what people search with; a document that held it would be found by every word of the query.
    return replace(record, values={key: value for key, value in record.values.items() if key != "flow"})
