"""Catalogs in YAML files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from multiretriever.core.errors import Problem
from multiretriever.core.records import ProblemLog, Record
from multiretriever.core.sources.catalog_form import catalog_records
from multiretriever.core.sources.files import text_of
from multiretriever.core.validation import is_null
from multiretriever.core.yaml_io import parse_yaml


class YamlSource:
    """A YAML file of one or several documents, each a catalog: lists of elements under the plural names of their types."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives the records of the file; what is wrong goes to the log with its line."""
        text = text_of(self.path, log)
        if text is None:
            return
        documents = parse_yaml(text, str(self))
        if isinstance(documents, Problem):
            log.problems.append(documents)
            return
        filled = [document for document in documents if not is_null(document.value)]
        if not filled:
            log.add("the file holds only comments; a catalog is due", str(self))
        for document in filled:
            yield from catalog_records(document, str(self), log)

    def __str__(self) -> str:
        return str(self.path)
