"""Reading flows one after another, so that a large collection never stands in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydantic

from multiretriever.core.errors import FlowError, Problem
from multiretriever.core.flows import Flow, parse_flows
from multiretriever.core.problems import problems_of
from multiretriever.core.records import ProblemLog
from multiretriever.core.sources.files import walk
from multiretriever.core.sources.json_text import parse_json
from multiretriever.core.textfile import read_text

YAML_SUFFIXES = (".yaml", ".yml")
LINE_SUFFIXES = (".jsonl", ".ndjson")


def iter_flows(*paths: str | Path) -> Iterator[Flow]:
    """Gives the flows of files and folders, in order of their names: YAML files file by file, JSON Lines line by line.

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
        yield path  # reading it tells what is wrong, if anything is
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
