"""Reading text files and YAML strictly, with the line of every value, and writing YAML so that it reads back the same.

Refused: duplicate keys (the last would win in silence), aliases (a few lines can unfold to gigabytes), tags, nesting past
``MAX_DEPTH``.

YAML turns ``no`` into false, ``1.10`` into 1.1 and ``12:30:45`` into 45045. Which of the two was meant, text or value, is known
only where it is used: a name is text, a flag is a value. So unquoted scalars keep their text (``PlainScalar``), and models
resolve it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from multiretriever.core.errors import Problem

MAX_DEPTH = 40
MAX_BYTES = 256 * 1024 * 1024
ValuePath = tuple[str | int, ...]
_WIDE_BOMS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def decode_text(data: bytes, source: str) -> str | Problem:
    """Decodes UTF-8 with or without a byte order mark, or returns the problem that it has."""
    for bom, encoding in _WIDE_BOMS.items():
        if data.startswith(bom):
            return Problem(f"the file is {encoding}; save it as UTF-8", source)
    if b"\0" in data:
        return Problem("expected UTF-8 text, got a binary file (it holds NUL bytes) or UTF-16 without a byte order mark", source)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Problem(f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8", source, line)


def read_text(path: Path) -> str | Problem:
    """Reads a UTF-8 file of at most ``MAX_BYTES``, or returns the problem that it has."""
    source = str(path)
    try:
        with path.open("rb") as file:
            # Never more than the limit, whatever size is reported: pipes and devices report none.
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Problem("there is no such file", source)
    except (OSError, ValueError) as error:
        return Problem(f"the file cannot be read: {getattr(error, 'strerror', None) or error}", source)
    if len(data) > MAX_BYTES:
        return Problem(f"the file has more than {MAX_BYTES:,} bytes, the most that is read: split it", source)
    return decode_text(data, source)


class PlainScalar(str):
    """The text of an unquoted YAML scalar."""

    __slots__ = ()


# Longer ones cannot come back from a number unchanged (and Python refuses to parse thousands of digits).
_MAX_DIGITS = 24
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {"true": True, "True": True, "TRUE": True, "false": False, "False": False,
                                  "FALSE": False, "null": None, "Null": None, "NULL": None, "~": None, "": None}  # fmt: skip


def resolve_scalar(text: PlainScalar) -> str | int | float | bool | None:
    """Resolves a scalar by YAML 1.2's core schema, except that a number keeps its text where its value would lose it.

    ``no`` and ``12:30`` stay text; ``1.5`` is a number; ``1.10`` and ``007`` stay text, since 1.1 and 7 are other texts.
    """
    raw = str(text)
    if raw in _WORDS:
        return _WORDS[raw]
    if len(raw) <= _MAX_DIGITS and _INTEGER.fullmatch(raw) and str(int(raw)) == raw:
        return int(raw)
    # PyYAML writes 1e+20 as 1.0e+20, since YAML 1.1 knows no exponent without a point.
    if len(raw) <= _MAX_DIGITS and _FLOAT.fullmatch(raw) and repr(float(raw)) in (raw, raw.replace(".0e", "e")):
        return float(raw)
    return raw


def resolve_scalars(value: Any) -> Any:
    """Resolves every plain scalar inside nested lists and mappings."""
    if isinstance(value, PlainScalar):
        return resolve_scalar(value)
    if isinstance(value, dict):
        return {str(key): resolve_scalars(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve_scalars(item) for item in value]
    return value


def is_null(value: Any) -> bool:
    """Tells whether a raw value means nothing: None, or an unquoted ``null``, ``~`` or blank of YAML."""
    return value is None or (isinstance(value, PlainScalar) and resolve_scalar(value) is None)


def name_of(value: Any) -> str:
    """Says in words what a raw value is."""
    if is_null(value):
        return "nothing"
    words = {dict: "a mapping", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    return words.get(type(value)) or f"{str(value)[:40]!r}"


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE_TAG = "tag:yaml.org,2002:"
_CONTAINER_TAGS = {None, "!", _CORE_TAG + "map", _CORE_TAG + "seq"}
_PLAIN_TAGS = {_CORE_TAG + name for name in ("bool", "int", "float", "null", "timestamp", "merge", "value")}


def is_deep(value: Any) -> bool:
    """Tells whether mappings and lists are nested deeper than ``MAX_DEPTH``."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


@dataclass(frozen=True)
class Document:
    """One document of a YAML stream.

    Attributes:
        value: Its mappings, lists and scalars; unquoted scalars as ``PlainScalar``.
        lines: The line, from 1, of every key and item by its path.
    """

    value: Any
    lines: dict[ValuePath, int] = field(default_factory=dict)

    def line(self, path: ValuePath) -> int | None:
        """Returns the line of a path, or of the nearest path around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


class _RefusedError(Exception):
    def __init__(self, message: str, event: Any) -> None:
        super().__init__(message)
        self.line = _line(event)


def parse_yaml(text: str, source: str) -> list[Document] | Problem:
    """Parses a stream of documents, or returns its first problem."""
    try:
        loader = _LOADER(str(text))  # the C parser takes no subclass of str
        try:
            return list(_documents(loader))
        finally:
            loader.dispose()
    except _RefusedError as error:
        return Problem(str(error), source, error.line)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        return Problem(f"not YAML: {error.problem or error}", source, line)
    except ReaderError as error:
        line = text.encode(errors="replace")[: error.position].count(b"\n") + 1
        return Problem(f"not YAML: {error.reason} (character #x{_code(error.character):04x})", source, line)
    except yaml.YAMLError as error:
        return Problem(f"not YAML: {' '.join(str(error).split())}", source)
    except UnicodeEncodeError as error:
        return Problem("not YAML: half of a surrogate pair is no character", source, text.count("\n", 0, error.start) + 1)


def _documents(loader: Any) -> Iterator[Document]:
    # Built from events: PyYAML's own composer calls itself for every level, and its C form crashes the process on deep nesting.
    while not loader.check_event(yaml.StreamEndEvent):
        if isinstance(loader.get_event(), yaml.DocumentStartEvent):
            yield _Builder(loader).build()


def _code(character: str | int) -> int:
    return character if isinstance(character, int) else ord(character)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


class _Builder:
    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._lines: dict[ValuePath, int] = {}

    def build(self) -> Document:
        return Document(self._value(self._loader.get_event(), ()), self._lines)

    def _value(self, event: Any, path: ValuePath) -> Any:
        self._lines.setdefault(path, _line(event))
        if isinstance(event, yaml.AliasEvent):
            raise _RefusedError("aliases (*name) are not read; write the value out", event)
        if len(path) > MAX_DEPTH:
            raise _RefusedError(f"nested deeper than {MAX_DEPTH} levels", event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if event.tag not in _CONTAINER_TAGS:
            raise _RefusedError(f"the tag {event.tag!r} is not read", event)
        if isinstance(event, yaml.MappingStartEvent):
            return dict(self._items(path))
        return [self._value(item, (*path, index)) for index, item in enumerate(self._until(yaml.SequenceEndEvent))]

    def _until(self, end: type[yaml.Event]) -> Iterator[Any]:
        while not isinstance(event := self._loader.get_event(), end):
            yield event

    def _items(self, path: ValuePath) -> Iterator[tuple[str, Any]]:
        keys: set[str] = set()
        for event in self._until(yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _RefusedError("a key must be a single value", event)
            key = str(event.value)
            if key in keys:
                raise _RefusedError(f"the key {key!r} appears twice; the first value would be lost", event)
            keys.add(key)
            self._lines[(*path, key)] = _line(event)
            yield key, self._value(self._loader.get_event(), (*path, key))

    def _scalar(self, event: Any) -> str:
        tag = event.tag
        if tag in (None, "!"):
            tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag == _CORE_TAG + "str":
            return str(event.value)
        if tag in _PLAIN_TAGS:
            return PlainScalar(event.value)
        raise _RefusedError(f"the tag {tag!r} is not read", event)


_OTHER_LINE_ENDS = {"\r", "\x85", "\u2028", "\u2029"}


class _Dumper(yaml.SafeDumper):
    """Writes lists indented and multi-line text as blocks, never as aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Lines that end in a space cannot be written as a block; PyYAML then falls back to quotes by itself.
    # Other line ends would be folded away in its plain and single-quoted forms; between double quotes they are escaped.
    style = '"' if _OTHER_LINE_ENDS & set(text) else "|" if "\n" in text else None
    return dumper.represent_scalar(_CORE_TAG + "str", str.__str__(text), style=style)


_Dumper.add_representer(str, _represent_text)
# Subclasses, such as enums and numpy's str_ and float64.
_Dumper.add_multi_representer(str, _represent_text)
_Dumper.add_multi_representer(float, lambda dumper, value: dumper.represent_float(float(value)))
_Dumper.add_multi_representer(int, lambda dumper, value: dumper.represent_int(int(value)))
_Dumper.add_multi_representer(dict, yaml.SafeDumper.represent_dict)
_Dumper.add_multi_representer(list, yaml.SafeDumper.represent_list)
_Dumper.add_multi_representer(tuple, yaml.SafeDumper.represent_list)


def dump_yaml(value: Any) -> str:
    """Writes mappings, lists and scalars as YAML; keys keep their order, lines are not wrapped."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31))
