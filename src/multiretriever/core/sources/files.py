"""What all sources of files share."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, Protocol

from multiretriever.core.errors import Problem
from multiretriever.core.records import ProblemLog
from multiretriever.core.sources.json_walk import faults, json_tokens
from multiretriever.core.yaml_io import MAX_DEPTH, ValuePath, is_deep, parse_yaml, read_text


def text_of(path: Path, log: ProblemLog) -> str | None:
    """Reads a text file; None when it cannot be read or holds nothing, which then stands in the log."""
    text = read_text(path)
    if isinstance(text, Problem):
        log.problems.append(text)
        return None
    if not text.strip():
        log.add("the file is empty", str(path))
        return None
    return text


def is_hidden(path: Path) -> bool:
    """Tells whether a file or folder is one that people do not see, such as ``.git`` or an editor's backup."""
    return path.name.startswith((".", "~$"))


def list_folder(folder: Path, log: ProblemLog) -> list[Path]:
    """Returns what is in a folder, by name, without what is hidden."""
    try:
        return sorted(folder / name for name in os.listdir(folder) if not is_hidden(Path(name)))
    except OSError as error:
        log.add(f"the folder cannot be read: {error.strerror or error}", str(folder))
        return []


def walk(root: Path, log: ProblemLog, *, stop_at: str | None = None) -> Iterator[tuple[Path, list[Path]]]:
    """Gives every folder from ``root`` down with its files, by name, without what is hidden.

    What links reach twice comes once. Nothing below a folder that holds a file named ``stop_at`` is visited.
    """
    waiting, seen = [root], {os.path.realpath(root)}
    while waiting:
        folder = waiting.pop()
        entries = [entry for entry in list_folder(folder, log) if _is_new(entry, seen)]
        # A broken link counts as a file, so that its name is reported and not passed over.
        files = [entry for entry in entries if entry.is_file() or not entry.exists()]
        yield folder, files
        if not any(file.name == stop_at for file in files):
            waiting.extend(reversed([entry for entry in entries if entry.is_dir()]))


def _is_new(path: Path, seen: set[str]) -> bool:
    real = os.path.realpath(path)
    known = real in seen
    seen.add(real)
    return not known


# Reading a file that holds one document, in YAML or JSON.


def read_document(path: Path, log: ProblemLog) -> Located | None:
    """Reads the document of a file; None where the log says why there is none."""
    text = text_of(path, log)
    if text is None:
        return None
    if path.suffix.lower() == ".json":
        parsed = parse_json(text, str(path))
        if not isinstance(parsed, list):
            return parsed
        log.problems.extend(parsed)
        return None
    documents = parse_yaml(text, str(path))
    if isinstance(documents, Problem):
        log.problems.append(documents)
        return None
    if len(documents) != 1:
        log.add(f"one document is due (got {len(documents)})", str(path))
        return None
    return documents[0]


# Reading JSON strictly, with the line of every value.
#
# Refused: duplicate keys (the last would win in silence), NaN and infinities, lone surrogates, deep nesting. The lines are worked
# out only when somebody asks for one, so that a faultless file costs one fast pass.

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Located(Protocol):
    """A parsed document whose values know their lines, whatever it was written in."""

    @property
    def value(self) -> Any:
        """Its mappings, lists and scalars."""

    def line(self, path: ValuePath) -> int | None:
        """Returns the line of a path, or of the nearest path around it."""


@dataclass(frozen=True)
class JsonDocument:
    """One JSON value and the text that it stands in.

    Attributes:
        value: Its mappings, lists and scalars.
        text: What it was read from.
        first_line: Line of the text's start in its file.
    """

    value: Any
    text: str
    first_line: int = 1

    @cached_property
    def _lines(self) -> dict[ValuePath, int]:
        lines: dict[ValuePath, int] = {}
        for path, line, _ in json_tokens(self.text, self.first_line):
            lines.setdefault(path, line)
        return lines

    def line(self, path: ValuePath) -> int | None:
        """Returns the line of a path, or of the nearest path around it."""
        return next((self._lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self._lines), None)


class _SuspectError(ValueError):
    """Something that Python's parser would let pass."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _SuspectError
    return values


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise _SuspectError
    return number


def _refuse(text: str) -> NoReturn:
    raise _SuspectError


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)


def parse_json(text: str, source: str, first_line: int = 1) -> JsonDocument | list[Problem]:
    """Parses one JSON value, or returns all problems that stand against it."""
    try:
        try:
            value = _DECODER.decode(text)
            _check_surrogates(text, value)
        except _SuspectError:
            json.loads(text)  # Where the text is broken as well, that is what stands in the way.
            return list(faults(text, source, first_line))
    except json.JSONDecodeError as error:
        return [Problem(f"not JSON: {error.msg} (column {error.colno})", source, first_line + error.lineno - 1)]
    except RecursionError:
        return [Problem(f"nested deeper than {MAX_DEPTH} levels", source, first_line)]
    except ValueError as error:  # A number of thousands of digits.
        return [Problem(f"not JSON that can be read: {error}", source, first_line)]
    if is_deep(value):
        return [Problem(f"nested deeper than {MAX_DEPTH} levels", source, first_line)]
    return JsonDocument(value, text, first_line)


def parse_lines(text: str, source: str, problems: list[Problem]) -> Iterator[tuple[int, JsonDocument]]:
    """Gives each value of JSON Lines with its line, from 1, without blank lines; what is not JSON goes to ``problems``."""
    # Only "\n" ends a line: other separators that Python knows, such as U+2028, may stand inside strings.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        document = parse_json(line, source, number)
        if isinstance(document, list):
            problems.extend(document)
        else:
            yield number, document


def _check_surrogates(text: str, value: Any) -> None:
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _SuspectError from None
