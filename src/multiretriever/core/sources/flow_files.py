"""Stored flows, in YAML files, as workflows of a catalog."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pydantic

from multiretriever.core.flows import Flow
from multiretriever.core.records import ProblemLog, Record, near_miss
from multiretriever.core.sources.files import FileSource, record_at, walk
from multiretriever.core.yaml_io import is_null, name_of

FLOW_SUFFIXES = (".yaml", ".yml")
_KEYS = tuple(Flow.model_fields)


class FlowSource(FileSource):
    """A YAML file of flows, one a document or a list of them, or a folder of such files; each becomes a workflow.

    A flow without a name is named after its file, where it is alone in it.
    """

    def read(self, log: ProblemLog) -> Iterable[Record]:
        """Yields a record for every flow; what is wrong goes to the log with its file and line."""
        if not self.path.is_dir():
            yield from self._read_file(log)
            return
        found = False
        for _, files in walk(self.path, log):
            for file in files:
                if file.suffix.lower() in FLOW_SUFFIXES:
                    found = True
                    yield from FlowSource(file).read(log)
        if not found:
            log.add("no flow (.yaml, .yml) is in the folder", str(self))

    def _read_file(self, log: ProblemLog) -> Iterable[Record]:
        before = len(log.problems)
        flows: list[Record] = []
        for document in self.documents(log):
            value = document.value
            if isinstance(value, list):
                flows += [record_at(document, (index,), "workflow", item, str(self)) for index, item in enumerate(value)]
            elif not is_null(value):
                flows.append(record_at(document, (), "workflow", value, str(self)))
        if not flows and len(log.problems) == before:
            log.add("the file holds no flow", str(self))
        for given in flows:
            record = _workflow(given, log)
            if record is None:
                continue
            if "name" not in record.values and len(flows) > 1:
                log.problems.append(record.problem("is missing; each of several flows in a file needs one", "name"))
            else:
                yield replace(record, values={"name": self.path.stem, **record.values})


def _workflow(given: Record, log: ProblemLog) -> Record | None:
    if not isinstance(given.values, dict):
        log.problems.append(given.problem(f"expected a mapping as a flow, got {name_of(given.values)}"))
        return None
    # A key without a value is as good as none.
    record = replace(given, values={key: item for key, item in given.values.items() if not is_null(item)})
    before = len(log.problems)
    for key in record.values.keys() - set(_KEYS):
        if slip := near_miss(key, _KEYS):
            log.problems.append(record.problem(f"{key!r} is not a known key; was {slip!r} meant?", key))
    if not record.values.keys() & {"requirement", "trigger", "steps"}:
        log.problems.append(record.problem("a flow needs steps, a trigger or a requirement"))
    try:
        flow = Flow.model_validate(record.values)
    except pydantic.ValidationError as error:
        log.problems.extend(record.problems(error))
        return None
    if len(log.problems) > before:
        return None
    values: dict[str, Any] = {"label": flow.label, "scope": flow.scope, "description": flow.description, "flow": flow}
    if "name" in record.values:
        values["name"] = flow.name
    return replace(record, values=values)
