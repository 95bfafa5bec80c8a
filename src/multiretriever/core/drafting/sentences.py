"""Cutting a requirement into sentences, list items and what stands between arrows and dashes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ITEM = re.compile(r"^\s*(?:[-*•\u2013]|\(?\d{1,2}[.)]|[a-z]\))\s+", re.MULTILINE)
_HEADING = re.compile(r"\n(?=[A-Z]\w*(?: \w+)?:\s)")
_ASIDE = re.compile(
    r"(?:this is (?:only )?for|only(?: for)?|asap|urgent|fyi|note that|any questions|here is what)\b[^,]*", re.IGNORECASE
)
_HEADINGS = re.compile(
    r"(?:subject|what|wanted|steps|request|goal|details|actions?|to ?do|tasks?|background|summary|notes?|purpose)", re.IGNORECASE
)
_ARROW = r"\s*(?:-+>|=+>|→|➔|⇒|>>)\s*"
_END = re.compile(
    rf"(?P<arrow>{_ARROW})|(?P<stop>(?<!\betc)(?<!\be\.g)(?<!\bi\.e)(?<!\bapprox)[.!?;\u2026]+(?=[\s)\"'\u201d]|"
    rf"$)[)\"'\u201d]*\s*)|(?P<dash>\s+[-\u2013\u2014]+\s+)|"
    rf"(?P<line>\n\s*\n|\n(?=\x00))|(?P<colon>(?<=[\w\])\"\u201d]):(?=\s|$)\s*)"
)
_MARK = re.compile("\x00")
_GREETING = re.compile(
    r"^(?:hi|hello|hey|dear|good (?:morning|afternoon|evening))\b[^,.!:\n]{0,40}[,.!:]+\s*|^(?:could|can|would|"
    r"will) (?:somebody|someone|you|we)"
    r"(?: please)? (?:automate|build|set up|make) (?:this|that|the following|"
    r"a flow)[^?.!:]{0,40}[?.!:]+\s*", re.IGNORECASE)  # fmt: skip
_WISH = re.compile(
    r"^(?:as (?:a|an|the) [^,.:]{2,40}?,? )?(?:i|we)(?: would|'d)?(?: really)? (?:want|need|like|wish)(?: to have)?"
    r"(?: (?:this|that|the following|a flow(?: that)?|to|every|it))?\s*[:.]\s*", re.IGNORECASE)  # fmt: skip
_CLOSING = re.compile(
    r"(?:(?:many |best )?thanks?(?: you| a lot| in advance)?|thx|cheers|regards|best|kind regards|ta)\b[^.!?]{0,40}[.!]*\s*",
    re.IGNORECASE,
)
_POLITE = re.compile(r"[,\s]*\b(?:please|pls|plz)\b(?=\s*$)", re.IGNORECASE)
_QUOTES = re.compile(r"[\"\u201c\u201d][^\"\u201c\u201d\n]{1,80}[\"\u201c\u201d]|https?://\S+")


@dataclass(frozen=True)
class Sentence:
    """A part of a requirement that stands by itself.

    Attributes:
        text: Its words.
        end: What ended it: ``.``, ``?``, ``;``, ``:``, ``->``, ``-``, or nothing at the end of the text.
    """

    text: str
    end: str = ""


def sentences_of(requirement: str) -> list[Sentence]:
    """Cuts a requirement into sentences, without greetings and thanks."""
    text = _ITEM.sub("\n\x00", requirement.strip())
    text = re.sub(r"(?<!\n)\n(?!\s*[\n\x00])", " ", _HEADING.sub("\n\x00", text))
    text = _WISH.sub("", _GREETING.sub("", text, count=1), count=1)
    kept = [match.span() for match in _QUOTES.finditer(text)]
    found: list[Sentence] = []
    start = 0
    for match in _END.finditer(text):
        if any(low <= match.start() < high - 1 for low, high in kept):
            continue
        _add(found, text[start : match.start()], _kind(match))
        start = match.end()
    _add(found, text[start:], "")
    return found


def _kind(match: re.Match[str]) -> str:
    if match.group("arrow"):
        return "->"
    if match.group("dash"):
        return "-"
    if match.group("colon"):
        return ":"
    mark = (match.group("stop") or ".").strip()[:1]
    return mark if mark in "?;" else "."


def _add(found: list[Sentence], text: str, end: str) -> None:
    text = _POLITE.sub("", " ".join(_MARK.sub("", text).split()).strip(" ,.!?;"))
    purpose = end == ":" and text.lower().startswith(("to ", "in order to "))
    aside = purpose or _CLOSING.fullmatch(text) or _ASIDE.fullmatch(text) or (end in (":", ".") and _HEADINGS.fullmatch(text))
    if re.search(r"\w", text) and not aside:
        found.append(Sentence(text, end))
