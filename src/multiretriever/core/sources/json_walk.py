"""Going through the tokens of a JSON text for what Python's parser does not tell: lines, and what it lets pass."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from multiretriever.core.errors import Problem
from multiretriever.core.records import field_path
from multiretriever.core.yaml_io import ValuePath

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)


def faults(text: str, source: str, first_line: int) -> Iterator[Problem]:
    """Gives what Python's parser lets pass: duplicate keys, values that are no numbers, halves of surrogate pairs."""
    keys: set[ValuePath] = set()
    for path, line, token in json_tokens(text, first_line):
        field = (field_path(path) or "").encode(errors="backslashreplace").decode() or None
        if token is None and path in keys:
            yield Problem(f"the key {path[-1]!r} stands twice; the first value would be lost", source, line, field)
        if token is None:
            keys.add(path)
        message = _scalar_fault(json.dumps(path[-1]) if token is None else token)
        if message:
            yield Problem(message, source, line, field)


def _scalar_fault(token: str) -> str | None:
    if token.startswith('"'):
        text = json.loads(token)
        half = any("\ud800" <= character <= "\udfff" for character in text)
        return f"{text!r} holds half of a surrogate pair, which is no character" if half else None
    if token in ("NaN", "Infinity", "-Infinity"):
        return f"{token} is not JSON; write a number, or null"
    if set(token) & set(".eE") and token[-1].isdigit() and float(token) in (float("inf"), float("-inf")):
        return f"{token} is too large for a number"
    return None


def json_tokens(text: str, first_line: int) -> Iterator[tuple[ValuePath, int, str | None]]:
    """Gives path, line and token of every key (without a token) and value of a text that is known to be JSON."""
    path: list[str | int] = []
    waits_for_key = False
    line, last = first_line, 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        line += text.count("\n", last, match.start())
        last = match.start()
        if token in ("]", "}"):
            path.pop()
            waits_for_key = False
        elif token == "," and isinstance(path[-1], int):
            path[-1] += 1
        elif token == ",":
            waits_for_key = True
        elif waits_for_key:
            path[-1] = json.loads(token)
            waits_for_key = False
            yield tuple(path), line, None
        elif token != ":":
            yield tuple(path), line, token
            if token in ("[", "{"):
                path.append(0 if token == "[" else "")
                waits_for_key = token == "{"
