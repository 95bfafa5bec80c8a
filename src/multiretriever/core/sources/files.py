"""Files and folders of a catalog: what is read of them, strictly, each once.

A JSON text is refused where Python's parser would let pass what other readers refuse or change: duplicate keys (the last would
win in silence), NaN and infinities, halves of surrogate pairs, deep nesting.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from multiretriever.core.errors import Problem
from multiretriever.core.records import ProblemLog, Record, field_path
from multiretriever.core.yaml_io import MAX_DEPTH, ValuePath, is_deep, parse_yaml, read_text


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
    """Yields every folder from ``root`` down with its files, by name, without what is hidden.

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


def text_of(path: Path, log: ProblemLog) -> str | None:
    """Reads a text file; None when it cannot be read or holds nothing, which the log then has."""
    text = read_text(path)
    if isinstance(text, Problem):
        log.problems.append(text)
        return None
    if not text.strip():
        log.add("the file is empty", str(path))
        return None
    return text


class Located(Protocol):
    """A parsed document whose values know their lines, whatever it was written in."""

    @property
    def value(self) -> Any:
        """Its mappings, lists and scalars."""

    def line(self, path: ValuePath) -> int | None:
        """Returns the line of a path, or of the nearest path around it; None where lines are not known."""


def record_at(document: Located, path: ValuePath, kind: str, values: Any, source: str) -> Record:
    """Makes a record of the value at a path of a document."""
    return Record(kind, values, source, lambda below: document.line((*path, *below)), lambda below: (*path, *below))


@dataclass(frozen=True)
class Parsed:
    """What a file of YAML or JSON holds: its documents, or what is wrong with it."""

    documents: tuple[Located, ...] = ()
    problems: tuple[Problem, ...] = ()


def parse_file(path: Path) -> Parsed:
    """Reads a file and parses it, by its suffix as JSON, or as YAML."""
    log = ProblemLog()
    text = text_of(path, log)
    if text is None:
        return Parsed(problems=tuple(log.problems))
    if path.suffix.lower() == ".json":
        document = parse_json(text, str(path))
        return Parsed(problems=tuple(document)) if isinstance(document, list) else Parsed((document,))
    documents = parse_yaml(text, str(path))
    return Parsed(problems=(documents,)) if isinstance(documents, Problem) else Parsed(tuple(documents))


class FileSource:
    """A source that is a file of YAML or JSON documents.

    Args:
        path: The file.
        parsed: What it holds, where it was read to tell what it is. The first reading takes this and lets go of it, and so the
            file is read once; each further reading reads the file.
    """

    def __init__(self, path: str | Path, *, parsed: Parsed | None = None) -> None:
        self.path = Path(path)
        self._parsed = parsed

    def documents(self, log: ProblemLog) -> tuple[Located, ...]:
        """Returns the documents of the file; what is wrong with it goes to the log."""
        parsed, self._parsed = self._parsed, None
        parsed = parsed or parse_file(self.path)
        log.problems.extend(parsed.problems)
        return parsed.documents

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class JsonDocument:
    """One JSON value.

    Attributes:
        value: Its mappings, lists and scalars.
        number: Its line in a file of JSON Lines; None for a whole file, in which the path of a value says where it is.
    """

    value: Any
    number: int | None = None

    def line(self, path: ValuePath) -> int | None:
        """Returns the line of the document, whatever the path."""
        return self.number


def parse_lines(text: str, source: str, problems: list[Problem]) -> Iterator[tuple[int, JsonDocument]]:
    """Yields each value of JSON Lines with its line, from 1, without blank lines; what is not JSON goes to ``problems``."""
    # Only "\n" ends a line: other separators that Python knows, such as U+2028, may stand inside strings.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        document = parse_json(line, source, number)
        if isinstance(document, list):
            problems.extend(document)
        else:
            yield number, document


def parse_json(text: str, source: str, number: int | None = None) -> JsonDocument | list[Problem]:
    """Parses one JSON value, or returns all problems that stand against it.

    Args:
        text: The JSON.
        source: File or other origin, for the problems.
        number: The line of the text in a file of JSON Lines; None for a text that is a whole file.
    """
    try:
        try:
            value = _STRICT.decode(text)
            _check_surrogates(text, value)
        except _SuspectError:
            faults = _faults(_LENIENT.decode(text), ())
            return [Problem(message, source, number, _shown(path)) for message, path in faults]
    except json.JSONDecodeError as error:
        return [Problem(f"not JSON: {error.msg} (column {error.colno})", source, (number or 1) + error.lineno - 1)]
    except RecursionError:
        return [Problem(f"nested deeper than {MAX_DEPTH} levels", source, number)]
    except ValueError as error:  # A number of thousands of digits.
        return [Problem(f"not JSON that can be read: {error}", source, number)]
    if is_deep(value):
        return [Problem(f"nested deeper than {MAX_DEPTH} levels", source, number)]
    return JsonDocument(value, number)


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


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _check_surrogates(text: str, value: Any) -> None:
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _SuspectError from None


@dataclass(frozen=True)
class _Fault:
    """Stands in a value where Python's parser lets pass what JSON does not hold."""

    message: str


class _Pairs(list[tuple[str, Any]]):
    """A mapping with all its keys, those that appear twice too."""


def _number(text: str) -> float | _Fault:
    number = float(text)
    return _Fault(f"{text} is too large for a number") if number in (float("inf"), float("-inf")) else number


# A faultless text costs one pass. One with a fault is parsed again, with everything kept that tells where all of them are.
_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)
_LENIENT = json.JSONDecoder(
    object_pairs_hook=_Pairs,
    parse_float=_number,
    parse_constant=lambda text: _Fault(f"{text} is not JSON; write a number, or null"),
)


def _faults(value: Any, path: ValuePath) -> Iterator[tuple[str, ValuePath]]:
    if isinstance(value, _Fault):
        yield value.message, path
    elif isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            yield f"{value!r} holds half of a surrogate pair, which is no character", path
    elif isinstance(value, _Pairs):
        keys = set[str]()
        for key, item in value:
            below = (*path, key)
            if key in keys:
                yield f"the key {key!r} appears twice; the first value would be lost", below
            keys.add(key)
            yield from _faults(key, below)
            yield from _faults(item, below)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, (*path, index))


def _shown(path: ValuePath) -> str | None:
    return (field_path(path) or "").encode(errors="backslashreplace").decode() or None
