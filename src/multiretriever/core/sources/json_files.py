"""Elements in JSON files, one a line or all in one value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from multiretriever.core.errors import ElementTypeError
from multiretriever.core.records import ProblemLog, Record
from multiretriever.core.registry import element_type, element_types
from multiretriever.core.sources.catalog_form import catalog_records, name_of, record_at
from multiretriever.core.sources.files import text_of
from multiretriever.core.sources.json_text import Located, parse_json, parse_lines

_LINE_SUFFIXES = (".jsonl", ".ndjson")


class JsonSource:
    """A ``.jsonl`` or ``.ndjson`` file of one element a line, or a ``.json`` file with a list of them or a catalog mapping.

    The type of an element is the name of the file (``step.jsonl``, ``steps.jsonl``) or stands in its ``element_type``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives the records of the file; what is wrong goes to the log with its line."""
        text = text_of(self.path, log)
        if text is None:
            return
        if self.path.suffix.lower() in _LINE_SUFFIXES:
            yield from self._read_lines(text, log)
            return
        document = parse_json(text, str(self))
        if isinstance(document, list):
            log.problems.extend(document)
        elif isinstance(document.value, list):
            for index in range(len(document.value)):
                yield from self._element(document, (index,), document.value[index], log)
        else:
            yield from catalog_records(document, str(self), log)

    def _read_lines(self, text: str, log: ProblemLog) -> Iterator[Record]:
        for _, document in parse_lines(text, str(self), log.problems):
            yield from self._element(document, (), document.value, log)

    def _element(self, document: Located, path: tuple[str | int, ...], values: object, log: ProblemLog) -> Iterator[Record]:
        kind = self._type_of_file() or (values.get("element_type") if isinstance(values, dict) else "")
        if isinstance(kind, str):
            if kind or not isinstance(values, dict):
                yield from record_at(document, path, kind, values, str(self), log)
            else:
                log.add("is blank", str(self), document.line((*path, "element_type")), "element_type")
        elif kind is None:
            known = ", ".join(item.name for item in element_types())
            message = f"is missing, and the file is not named after a type either (known are {known})"
            log.add(message, str(self), document.line(path), "element_type")
        else:
            line = document.line((*path, "element_type"))
            log.add(f"must be text (got {name_of(kind)})", str(self), line, "element_type")

    def _type_of_file(self) -> str | None:
        try:
            return element_type(self.path.stem).name
        except ElementTypeError:
            return None

    def __str__(self) -> str:
        return str(self.path)
