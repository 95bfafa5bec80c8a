"""Stored flows as elements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pydantic

from multiretriever.core.errors import Problem
from multiretriever.core.flows import Flow
from multiretriever.core.records import ProblemLog, Record, near_miss, problems_of
from multiretriever.core.sources.files import text_of, walk
from multiretriever.core.yaml_io import Document, ValuePath, is_null, name_of, parse_yaml

FLOW_SUFFIXES = (".yaml", ".yml")
_KEYS = tuple(Flow.model_fields)


class FlowSource:
    """A YAML file of flows, one a document or a list of them, or a folder of such files; each becomes a workflow.

    A flow without a name is named after its file, where it is alone in it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Gives a record for every flow; what is wrong goes to the log with its file and line."""
        if not self.path.is_dir():
            yield from _read_file(self.path, log)
            return
        found = False
        for _, files in walk(self.path, log):
            for file in files:
                if file.suffix.lower() in FLOW_SUFFIXES:
                    found = True
                    yield from _read_file(file, log)
        if not found:
            log.add("no flow (.yaml, .yml) is in the folder", str(self.path))

    def __str__(self) -> str:
        return str(self.path)


def _read_file(path: Path, log: ProblemLog) -> Iterator[Record]:
    text = text_of(path, log)
    if text is None:
        return
    documents = parse_yaml(text, str(path))
    if isinstance(documents, Problem):
        log.problems.append(documents)
        return
    flows = [flow for document in documents for flow in _flows_of(document)]
    if not flows:
        log.add("the file holds no flow", str(path))
    for document, prefix, value in flows:
        record = _flow_record(document, prefix, value, path, log)
        if record is None:
            continue
        if "name" not in record.values:
            if len(flows) > 1:
                log.problems.append(record.problem("is missing; each of several flows in a file needs one", "name"))
                continue
            record = Record(record.element_type, {**record.values, "name": path.stem}, record.source, record.line)
        yield record


def _flows_of(document: Document) -> Iterator[tuple[Document, ValuePath, Any]]:
    if isinstance(document.value, list):
        yield from ((document, (index,), value) for index, value in enumerate(document.value))
    elif not is_null(document.value):
        yield document, (), document.value


def _flow_record(document: Document, prefix: ValuePath, value: Any, path: Path, log: ProblemLog) -> Record | None:
    def line(below: ValuePath) -> int | None:
        return document.line((*prefix, *below))

    if not isinstance(value, dict):
        log.add(f"a flow is a mapping (got {name_of(value)})", str(path), line(()))
        return None
    # A key without a value is as good as none.
    value = {key: item for key, item in value.items() if not is_null(item)}
    before = len(log.problems)
    for key in value.keys() - set(_KEYS):
        if slip := near_miss(key, _KEYS):
            log.add(f"{key!r} is not a known key; was {slip!r} meant?", str(path), line((key,)), key)
    if not value.keys() & {"requirement", "trigger", "steps"}:
        log.add("a flow needs steps, a trigger or a requirement", str(path), line(()))
    try:
        flow = Flow.model_validate(value)
    except pydantic.ValidationError as error:
        log.problems.extend(problems_of(error, source=str(path), line=document.line, prefix=prefix))
        return None
    if len(log.problems) > before:
        return None
    values: dict[str, Any] = {"label": flow.label, "scope": flow.scope, "description": flow.description, "flow": flow}
    if "name" in value:
        values["name"] = flow.name
    return Record("workflow", values, str(path), line)
