"""Finding the words that say when a flow starts: a time, or something that happens."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Protocol

from multiretriever.core.drafting.sentences import Sentence
from multiretriever.core.drafting.words import NUMBER, SPAN, WEEKDAYS

_DAY_NAME = rf"(?:{'|'.join(day[:-3] for day in WEEKDAYS)})day|mon|tues?|wed|thu(?:rs)?|fri|sat|sun"
_UNIT = (
    rf"(?:weekdays?|work(?:ing)? ?days?|business days?|days?|weeks?|fortnights?|months?|quarters?|years?|hours?|hrs?|h|"
    rf"minutes?|mins?|"
    rf"mornings?|noon|afternoons?|evenings?|nights?|weekends?|midnight|(?:{_DAY_NAME})s?)\b"
)
_ORDINAL = r"(?:\d{1,2}(?:st|nd|rd|th)|first|second|third|last|fifteenth|tenth|twentieth)"
_TIME = (
    r"(?:\d{1,2}(?:[:.]\d\d)?\s*(?:am|pm|a\.m\.|p\.m\.|h|o'?clock|hrs)?\b|noon|midnight|(?:one|two|three|four|five|six|"
    r"seven|eight|nine|ten|eleven|twelve|half past \w+)(?: o'?clock| in the \w+)?\b)"
)
_TAIL = (
    rf"(?:[\s,]+(?:(?:at|around|about|from|by|before)\s+{_TIME}|\d{{1,2}}(?::\d\d)?\s*(?:am|pm)\b|\d{{1,2}}:\d\d|mornings?|"
    rf"evenings?|nights?|afternoons?|first thing(?: in the \w+)?|early|in the (?:early |late )?\w+|"
    rf"on (?:the )?(?:{_DAY_NAME})s?|on the {_ORDINAL}|on day {NUMBER}|(?:{_DAY_NAME})s?\b|of (?:the|each|every|a) (?:month|"
    rf"week|quarter|year)|"
    rf"at the \w+ of (?:the |each )?\w+|before \w+|after \w+|at night|on (?:week|work(?:ing)? ?)days?|"
    rf"in (?:the )?\w+ \d{{4}})(?!\w))*"
)
_SCHEDULE = re.compile(
    rf"(?:(?:run|check|do (?:it|this)|repeat)\s+)?(?:"
    rf"(?:every|each)\s+(?:(?:single|other|new|last|first|second|third|half|{NUMBER}|working|business|"
    rf"calendar)[\s-]+){{0,2}}(?:{_UNIT}|{_ORDINAL})(?:-ish)?"
    rf"|(?:once|twice|(?:two|three|four|\d) times)\s+(?:a|an|per|each|every|in a)\s+(?:\w+ )?{_UNIT}"
    rf"|(?:\b(?:daily|weekly|fortnightly|bi-?weekly|monthly|mid-month|nightly|hourly|quarterly|yearly|"
    rf"annually)\b)(?!\s+(?!at\b|on\b|in\b|from\b|before\b|around\b|by\b)[a-z])"
    rf"|(?:on\s+|at\s+)?(?:the\s+)?(?:{_ORDINAL}|beginning|start|end|middle|turn)(?:\s+day)?\s+of\s+(?:the|each|every|"
    rf"a)\s+(?:month|week|quarter|year)"
    rf"|on\s+(?:the\s+)?(?:\d{{1,2}}(?:st|nd|rd|th)\b|{_ORDINAL}\b(?!\s+(?!at\b|in\b|of\b)[a-z]))|on\s+(?:{_DAY_NAME})s\b|"
    rf"on (?:week|work(?:ing)? ?|business )days?|work(?:ing)? days\b|weekdays\b"
    rf"|(?:on\s+)?(?:{_DAY_NAME})s?(?=\s+(?:at\s+|around\s+)?(?:{_TIME}|mornings?|evenings?|nights?|afternoons?))"
    rf"|(?:just once|only once|(?:run )?once|a one-off|one-off|one time|a single time)\s+(?:on|at|in)\s+[^,;:]{{3,40}}"
    rf"|(?:overnight|at midnight|at (?:noon|{_TIME})\s*(?:every|each)\s+{_UNIT})"
    rf"){_TAIL}",
    re.IGNORECASE,
)
_SINCE = (
    r"(?:when(?:ever)?|if|once|as soon as|after|upon|each time|every time|any ?time|the moment|in case|should|"
    r"on the (?!day|first|last|list)\w+ing)"
)
_EVENT = re.compile(
    rf"(?:and |so |only )?{_SINCE}\b|{SPAN} after\b|for (?:every|each|a|any) new\b|(?:on|upon) (?:a |an |every |"
    rf"each )?(?:new|order|creation|arrival|receipt)\b",
    re.IGNORECASE,
)
_SURE_EVENT = re.compile(
    r"(?:when(?:ever)?|as soon as|each time|every time|any ?time|the moment|for (?:every|each) new)\b", re.IGNORECASE
)
_DELAYED = re.compile(rf"({SPAN}) after\b", re.IGNORECASE)
_LATER_EVENT = re.compile(r"(?:whenever|each time|every time|any ?time|the moment)\b", re.IGNORECASE)
_FRAME = re.compile(
    r"(?:(?:please|pls|only|also)\s+)*(?:\[[^\]]*\]\s*)?(?:(?:all (?:of )?this|this)\s+(?=(?:when|if|once|as soon|whenever|"
    r"each|every|on|at)\b)|(?:(?:it|this|that|everything|"
    r"the (?:flow|workflow|automation|job|whole thing)|all of this)\s+)?(?:(?:should|must|shall|will|has to|needs to|is to|"
    r"is|would|may|can)\s+)?(?:(?:be|to)\s+)?"
    r"(?:starts?|started|starting|start it|runs?(?: it| this)?|happens?|needed|due|triggered|trigger|fires?|done|do (?:it|"
    r"this|that)|"
    r"kicks? off|kicked off|executed|wanted|goes off|check(?: it| them)?|when|time|schedule|scheduled|"
    r"begins?)\s*:?,?\s+)(?P<words>.+)",
    re.IGNORECASE,
)  # fmt: skip
_NAMED = re.compile(r"(?:.{0,40}\b)?(?:trigger|starts?|when|schedule|event|start of the flow)", re.IGNORECASE)
_TRAILING_EVENT = re.compile(
    r"(?P<rest>.{6,}?)[,\s(]+(?P<event>(?:when(?:ever)?|if|once|as soon as|each time|every time|any ?time|the moment|after|"
    r"in case)\s+.+?)\)?",
    re.IGNORECASE,
)
_PARENTHESES = re.compile(r"\(([^()]{6,})\)?")
# Sentences on why a flow is wanted that may stand before the one that says when it starts.
_BACKGROUND = 1
_ENOUGH = re.compile(r"(?:would|will|is|are|should|at (?:the )?(?:least|most|latest))\b", re.IGNORECASE)
_ABOUT = re.compile(r"\b(?:of|about|on|for|in|whether|and|or|to)\s*$", re.IGNORECASE)


class Reading(Protocol):
    """What is asked of whoever knows the verbs."""

    def starts_with_verb(self, text: str) -> bool:
        """Tells whether a text starts as an order does."""
        ...

    def split_condition(self, text: str) -> tuple[str, str]:
        """Returns a condition or event that a text starts with, and what is done then."""
        ...


def find_start(sentences: list[Sentence], reading: Reading) -> tuple[str, list[Sentence]]:
    """Returns the words that say when a flow starts (empty when none do), and the sentences without them.

    Args:
        sentences: The requirement, cut into sentences.
        reading: Knows the verbs that orders start with.
    """
    for find in (_framed, _at_a_time, _in_parentheses, _first_event, _last_event, _later_event):
        found = find(sentences, reading)
        if found is not None:
            return found
    return _headline(sentences, reading)


Found = tuple[str, list[Sentence]] | None


def _framed(sentences: list[Sentence], _: Reading) -> Found:
    """A sentence that says nothing but when: "This should happen on the 5th", "Trigger: a new order"."""
    for place, sentence in enumerate(sentences):
        if sentence.end == ":" and place + 1 < len(sentences) and _NAMED.fullmatch(sentence.text):
            following = sentences[place + 1]
            return following.text, _without(sentences, place, 2)
        match = _FRAME.fullmatch(sentence.text)
        if match is not None:
            words = match.group("words")
            timed = _SCHEDULE.match(words)
            whole = timed is not None and timed.end() >= len(words.rstrip(" .")) - 1
            if whole or (place > 0 and _EVENT.match(words) and not re.search(r"[,:]", words)):
                return words, _without(sentences, place)
    return None


def _at_a_time(sentences: list[Sentence], _: Reading) -> Found:
    best: tuple[int, int, re.Match[str]] | None = None
    for place, sentence in enumerate(sentences):
        for match in _SCHEDULE.finditer(sentence.text):
            rank = _rank(sentence.text, match, place)
            if rank is not None and (best is None or rank < best[0]):
                best = (rank, place, match)
    if best is None or (best[0] >= 3 and sentences and _EVENT.match(sentences[0].text)):
        return None
    place, match = best[1:]
    text = sentences[place].text
    before, after = text[: match.start()].strip(" ,(-"), text[match.end() :].strip(" ,:)-")
    after = re.sub(r"^(?:then|and|we want to|i want to|please)\s+", "", after)
    rest = (
        f"{before} {after}".strip()
        if before and not text[match.end() :].startswith(",")
        else ", ".join(filter(None, (before, after)))
    )
    words = match.group().strip(" ,")
    if not before and place > 0 and _ENOUGH.match(after):
        rest = ""
    return words, _replaced(sentences, place, rest)


def _rank(text: str, match: re.Match[str], place: int) -> int | None:
    """Returns how likely a time says when the flow starts: 0 at the head of all, 1 at the end of a sentence, 3 in the midst."""
    head = not text[: match.start()].strip(" ,(")
    tail = not text[match.end() :].strip(" ,.)")
    if head:
        return 0 if place == 0 or tail else 2
    if _ABOUT.search(text[: match.start()]):
        return None
    if tail:
        return 1
    return 2 if place == 0 and text[match.end() :].lstrip()[:1] in (",", ":", ")") else 3


def _in_parentheses(sentences: list[Sentence], reading: Reading) -> Found:
    for place, sentence in enumerate(sentences):
        match = _PARENTHESES.search(sentence.text)
        if match is not None and _EVENT.match(match.group(1)):
            return match.group(1), _replaced(sentences, place, _PARENTHESES.sub("", sentence.text).strip())
    return None


def _first_event(sentences: list[Sentence], reading: Reading) -> Found:
    """An event at the head of the requirement, or after words on why it is there."""
    for place, sentence in enumerate(sentences):
        if (_EVENT if place == 0 else _SURE_EVENT).match(sentence.text):
            event, rest = reading.split_condition(sentence.text)
            following = [replace(sentence, text=rest)] if rest else []
            if match := _DELAYED.match(event):
                following = [Sentence(f"wait {match.group(1)}", "."), *following]
                event = event[match.end(1) :].strip()
            return event, [*following, *sentences[place + 1 :]]
        if (reading.starts_with_verb(sentence.text) and sentence.end != ":") or place == _BACKGROUND:
            return None
    return None


def _last_event(sentences: list[Sentence], _: Reading) -> Found:
    """Finds an event at the end of a sentence: "wipe the laptop whenever somebody reports it stolen"."""
    for place in dict.fromkeys((0, len(sentences) - 1)):
        match = _TRAILING_EVENT.fullmatch(sentences[place].text) if sentences else None
        if match is not None and "," not in match.group("event"):
            doubtful = re.match(r"(?:if|in case|once|after|when)\b", match.group("event"), re.IGNORECASE)
            # "do this, when that happens": a comma tells it from what only the last order depends on.
            if not doubtful or len(sentences) == 1 or (place == 0 and sentences[0].text[match.end("rest")] == ","):
                return match.group("event"), _replaced(sentences, place, match.group("rest"))
    return None


def _later_event(sentences: list[Sentence], reading: Reading) -> Found:
    for place, sentence in enumerate(sentences):
        if _LATER_EVENT.match(sentence.text):
            event, rest = reading.split_condition(sentence.text)
            return event, _replaced(sentences, place, rest)
    return None


def _headline(sentences: list[Sentence], reading: Reading) -> tuple[str, list[Sentence]]:
    """Takes what stands before the first order, where that is no order: "New laptop ordered: the manager approves"."""
    if len(sentences) > 1 and not reading.starts_with_verb(sentences[0].text):
        event, *orders = re.split(r",\s+", sentences[0].text, maxsplit=1)
        if orders and reading.starts_with_verb(orders[0]):
            return event, _replaced(sentences, 0, orders[0])
        return sentences[0].text, sentences[1:]
    return "", sentences


def _without(sentences: list[Sentence], place: int, count: int = 1) -> list[Sentence]:
    return [*sentences[:place], *sentences[place + count :]]


def _replaced(sentences: list[Sentence], place: int, text: str) -> list[Sentence]:
    rest = [replace(sentences[place], text=text)] if re.search(r"\w", text) else []
    return [*sentences[:place], *rest, *sentences[place + 1 :]]
