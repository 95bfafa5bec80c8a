"""Dataset folders: the form in which catalogs are exchanged with evaluation and training."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from multiretriever.core.errors import ElementTypeError, Problem
from multiretriever.core.records import ProblemLog, Record
from multiretriever.core.registry import element_type
from multiretriever.core.sources.catalog_form import name_of
from multiretriever.core.sources.files import list_folder, text_of
from multiretriever.core.sources.json_files import JsonSource
from multiretriever.core.validation import is_null
from multiretriever.core.yaml_io import parse_yaml

DATASET_FILE = "dataset.yaml"


class DatasetSource:
    """The catalog of a folder with ``dataset.yaml`` and ``catalog/<element_type>.jsonl``."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives the records of all files of the catalog; what is wrong goes to the log with its file and line."""
        self._check_description(log)
        folder = self.path / "catalog"
        if not folder.is_dir():
            log.add("there is no folder 'catalog' beside dataset.yaml", str(self))
            return
        files = [file for file in list_folder(folder, log) if file.suffix.lower() == ".jsonl"]
        if not files:
            log.add("no file <element_type>.jsonl is there", str(folder))
        for file in files:
            try:
                element_type(file.stem)
            except ElementTypeError as error:
                log.add(f"the file is named after no type: {error}", str(file))
                continue
            yield from JsonSource(file).read(log)

    def _check_description(self, log: ProblemLog) -> None:
        path = self.path / DATASET_FILE
        text = text_of(path, log)
        documents = [] if text is None else parse_yaml(text, str(path))
        if isinstance(documents, Problem):
            log.problems.append(documents)
            return
        for document in documents:
            if not is_null(document.value) and not isinstance(document.value, dict):
                log.add(f"a mapping is due (got {name_of(document.value)})", str(path), document.line(()))

    def __str__(self) -> str:
        return str(self.path)
