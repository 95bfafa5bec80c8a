"""Stages in the words of a requirement: lists, words of order (first, then, finally) and of time. Rules for English, no model."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MAX_NAME = 60
_TITLE_WORDS = 12
_LABEL_WORDS = 5

_LINKS = frozenset("a an and are as at be by for from in is it of on or that the their to with".split())

_ITEM = re.compile(r"^[ \t]*(?:[-*\u2022\u2013]|\(?\d{1,2}[.)]|\(?[a-z]\))[ \t]+", re.MULTILINE)
_INLINE_ITEM = re.compile(r"(?:^|\s)\(?(\d{1,2})[.)]\s+(?=\w)")

_ORDER = (
    r"first(?:ly| of all)?|second(?:ly)?|third(?:ly)?|then|next|after that|afterwards?|subsequently|later(?: on)?|"
    r"finally|lastly|in the end|at last|to start with|to begin with"
)
_UNIT = r"(?:minute|hour|day|week|month|quarter|year|morning|evening|night|start|end|beginning|arrival|go-live)s?"
_WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
_COUNT = r"(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve)"
_TIME = (
    rf"(?:on|at|by|before|after|within|in|during|until|from|for|per)\s+(?:\w+\s+){{0,3}}?(?:{_UNIT}|{_WEEKDAY})|"
    rf"{_COUNT}\s+(?:\w+\s+)?{_UNIT}\s+(?:before|after|ahead|later|earlier)|"
    rf"(?:every|each|next|the same|opening|last|day|week|month)\s+(?:{_UNIT}|{_WEEKDAY}|one|two|three|\d+)|"
    r"daily|weekly|monthly|yearly|immediately|at once|straight away|from then on|meanwhile|in the meantime"
)
# What opens a stage at the start of a sentence, and after a comma only where it is plain that order or time is meant.
_MARK = rf"(?:and\s+)?(?:{_ORDER}|{_TIME})\b"
_OPENING = re.compile(
    rf"(?:{_MARK}|(?:on|at|before|after|during|until|while|when|once|whenever|as soon as)\s+\w+)", re.IGNORECASE
)
_WITHIN = re.compile(rf"(?:,\s*(?:and\s+)?|\s+and\s+)(?={_MARK})", re.IGNORECASE)
_LEADING_ORDER = re.compile(rf"(?:and\s+)?(?:{_ORDER})\b[\s,:]*", re.IGNORECASE)
_LEADING_TIME = re.compile(rf"(?:and\s+)?({_TIME})\b", re.IGNORECASE)
_TRAILING_TIME = re.compile(rf"\s({_TIME})\W*$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|;\s*|\n+")
_LABEL = re.compile(r"([^:;.!?\n]{1,80}):\s+")


@dataclass(frozen=True)
class StageWords:
    """What a requirement says of one stage.

    Attributes:
        name: Its name: the label or the time that it is given, or else its first words.
        purpose: Its words.
    """

    name: str
    purpose: str


@dataclass(frozen=True)
class Parts:
    """A requirement taken apart.

    Attributes:
        title: Words before its first stage; empty where it starts with one.
        stages: What it says of each stage, in order; at least one where it is not blank.
    """

    title: str
    stages: tuple[StageWords, ...]


def take_apart(requirement: str) -> Parts:
    """Takes a requirement apart into a title and stages.

    The items of a list are stages. Without a list, stages start at words of order and of time; what has no such words belongs to
    the stage before it. A text with fewer than two of them gives a stage for each sentence.
    """
    text = requirement.strip()
    title, items = _list_items(text)
    if len(items) < 2:
        title, items = _prose(text)
    stages = [_stage(item) for item in items if item.strip(" .,;:")]
    return Parts(title, tuple(stages)) if stages else Parts("", (_stage(text),) if text else ())


def _list_items(text: str) -> tuple[str, list[str]]:
    for pattern in (_ITEM, _INLINE_ITEM):
        starts = list(pattern.finditer(text))
        if len(starts) >= 2 and (pattern is _ITEM or _counts_up(starts)):
            ends = [*(item.start() for item in starts[1:]), len(text)]
            items = [" ".join(text[item.end() : end].split()) for item, end in zip(starts, ends, strict=True)]
            return text[: starts[0].start()].strip(" \n:."), items
    return "", []


def _counts_up(starts: list[re.Match[str]]) -> bool:
    return [int(item.group(1)) for item in starts] == list(range(1, len(starts) + 1))


def _prose(text: str) -> tuple[str, list[str]]:
    title, rest = _title(text)
    sentences = [item.strip() for item in _SENTENCE_END.split(rest) if item.strip(" .")]
    if rest.count(";") >= 2 and len(sentences) == rest.count(";") + 1:  # one sentence that is a list
        return title, sentences
    pieces = [piece.strip() for sentence in sentences for piece in _WITHIN.split(sentence) if piece.strip(" .,")]
    marked = [_is_marked(piece) for piece in pieces]
    if sum(marked) < 2:
        return title, sentences
    stages: list[str] = []
    for piece, mark in zip(pieces, marked, strict=True):
        if mark or (not stages and (title or len(piece.split()) > _TITLE_WORDS)):
            stages.append(piece)
        elif stages:
            stages[-1] = f"{stages[-1].rstrip(' .')}; {piece}"
        else:
            title = piece.rstrip(".!?")
    return title, stages


def _title(text: str) -> tuple[str, str]:
    """Returns a heading before a colon, and what follows; a time before a colon is the name of a stage and no heading."""
    match = _LABEL.match(text)
    if match and (not _is_marked(match.group(1)) or _OPENING.match(text[match.end() :])):
        return match.group(1), text[match.end() :]
    return "", text


def _is_marked(piece: str) -> bool:
    return bool(_OPENING.match(piece) or _TRAILING_TIME.search(piece))


def _stage(item: str) -> StageWords:
    text = item.strip(" .;,")
    label = _LABEL.match(text)
    if label and len(label.group(1).split()) <= _LABEL_WORDS:
        return StageWords(_capital(label.group(1)), _capital(text[label.end() :]))
    order = _LEADING_ORDER.match(text)
    text = text[order.end() :] if order and order.end() < len(text) else text
    time = _LEADING_TIME.match(text) or _TRAILING_TIME.search(text)
    return StageWords(_capital(time.group(1) if time else _first_words(text)), _capital(text))


def _first_words(text: str) -> str:
    words = re.split(r"[,;:.]", text, maxsplit=1)[0].split()[:6]
    while len(words) > 1 and words[-1].lower() in _LINKS:
        words.pop()
    kept = " ".join(words)
    return (kept if len(kept) <= _MAX_NAME else kept[:_MAX_NAME].rstrip()) or text[:_MAX_NAME]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
