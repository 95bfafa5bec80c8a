"""Reading the answers of chat models, which keep to the form that they were asked for most of the time."""

from __future__ import annotations

import html
import json
import re
from typing import Any

_FENCE = re.compile(r"```[a-z]*\s*\n(.*?)```", re.DOTALL)
_ITEM = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*\u2022])\s+(?P<text>.+?)\s*$", re.MULTILINE)
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "`": "`"}


def read_answer(text: str, number: int) -> list[str]:
    """Returns the queries in an answer, each once, at most ``number``; none where it holds none.

    Read are the JSON object that was asked for, a bare JSON list, either of them in a code block or among other text, and a
    list with numbers or dashes. Prose (a refusal, say) is not taken for a query.
    """
    text = _THOUGHT.sub("", text)
    found = _from_json(text)
    if found is None:
        found = [match["text"] for match in _ITEM.finditer(text)]
    unique: dict[str, str] = {}
    for item in filter(None, map(_clean, found)):
        unique.setdefault(item.lower(), item)
    return list(unique.values())[:number]


def _from_json(text: str) -> list[str] | None:
    fenced = _FENCE.search(text)
    for candidate in filter(None, (fenced[1] if fenced else None, text)):
        for start, end in (("{", "}"), ("[", "]")):
            first, last = candidate.find(start), candidate.rfind(end)
            queries = _queries(candidate[first : last + 1]) if 0 <= first < last else None
            if queries is not None:
                return queries
    return None


def _queries(text: str) -> list[str] | None:
    try:
        value: Any = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        value = value.get("queries", next((item for item in value.values() if isinstance(item, list)), None))
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return None
    # Some models answer with objects such as {"query": "..."}.
    plain = (next((v for v in item.values() if isinstance(v, str)), "") if isinstance(item, dict) else item for item in value)
    return [item for item in plain if isinstance(item, str)]


def _clean(text: str) -> str:
    text = " ".join(html.unescape(text).encode("utf-8", "replace").decode("utf-8").split())
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    return text
