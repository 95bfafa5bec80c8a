"""Which trigger of the catalog the words that say when a flow starts mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from multiretriever.core.catalog import Catalog
from multiretriever.core.drafting.roles import types_of
from multiretriever.core.drafting.tables import Tables
from multiretriever.core.drafting.words import UNIT, WEEKDAYS, brief, stem, stems_of, words_of
from multiretriever.core.elements import Step
from multiretriever.core.names import split_words
from multiretriever.core.retriever import Hit, MultiRetriever

# What kind of time or event the words speak of, first that fits, and by which words its trigger is known.
_TIMES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE), known)
    for name, pattern, known in (
        ("once", r"\b(?:just once|only once|run once|once (?:on|at|in)\b|one-off|one time|a single time)|"
            r"\b20\d\d\b", "once single one time"),
        ("repeat", rf"\b(?:every|each)\s+(?:\S+ )?(?!(?:working|business) days?|days?\b|weeks?\b|months?\b|"
            rf"years?\b)(?!one\b)(?:\d+ ?|(?:two|three|four|five|six|ten|"
                   rf"fifteen|twenty|thirty) )?(?:hours?|hrs?|h|minutes?|mins?)\b|\b(?:hourly|fortnight(?:s|ly)?|"
                   rf"bi-?weekly)\b|\b(?:twice|(?:three|four|\d) times) (?:a|per|each|every) day|"
                   rf"\b(?:every|each) (?:\d+|two|three|four|five|six|ten|"
                   rf"other) {UNIT}", "repeat interval recurring every minutes hourly periodic frequency"),
        ("monthly", r"\b(?:mid-)?month(?:s|ly)?\b|\b\d{1,2}(?:st|nd|rd|th)\b|\b(?:on|every|each) the (?:first|last)\b|"
            r"\bon (?:the )?(?:first|last|fifth|tenth)\b", "monthly month"),
        ("daily", r"\b(?:daily|nightly|overnight|weekdays?|work(?:ing)? ?days?|business days?|midnight)\b|\b(?:every|each|"
            r"once a|one|in the) (?:single )?(?:day|morning|evening|night|noon|afternoon)\b", "daily day nightly"),
        ("weekly", rf"\bweek(?:s|ly|end)?\b|\b(?:{'|'.join(WEEKDAYS)})s?\b|\b(?:mon|tue|wed|thu|fri|sat|"
            rf"sun)\b", "weekly week weekday"),
        ("yearly", r"\b(?:year|yearly|annually|quarter|quarterly)\b", "yearly year quarterly"),
    )
)  # fmt: skip
_EVENTS: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE), known)
    for name, pattern, known in (
        ("order", r"\b(?:order(?:s|ed|ing)?|request(?:s|ed)? .*\b(?:portal|catalog(?:ue)?|shop)|(?:from|via|through|"
            r"in) the (?:catalog(?:ue)?|portal|shop|self-service)"
                  r"|(?:asks|ask|request) for .*\b(?:catalog(?:ue)?|portal|shop)|request for .* (?:placed|submitted|made|"
                  r"comes in))\b", "catalog order request item"),
        ("mail", r"\b(?:e-?mails?|mails?)\b.*\b(?:arriv|come|comes|sent|sends|receiv|forwarded|to the|to our|reach|get)|"
            r"\b(?:writes? to|by mail|inbox|mails us)\b", "email mail inbound"),
        ("call", r"\b(?:REST|webhook|API|endpoint|HTTP|posts? an?|calls us)\b", "rest webhook http api call"),
        ("delete", r"\b(?:delet\w+|remov(?:ed|al)|purged|erased)\b", "deleted removed delete"),
        ("create", r"\b(?:creat\w+|opens?|opened|new|logged|logs|arriv\w+|come[s]? in|came in|register\w*|added|adds|raised|"
            r"submitt\w+|submits|receiv\w+|enters|"
                   r"record(?:s|ed)|set up|turns up|mounted|reported|reports|files|filed|enrolled|"
                   r"appears?)\b", "created new added inserted create"),
        ("change", r"", "updated changed modified update change edited"),
    )
)  # fmt: skip
_TIMED_WORDS = frozenset(map(stem, "schedule scheduled timer time calendar cron recurring daily weekly monthly".split()))
_HITS = 30
# A BM25 score counts as much as a cosine of _WORDS at most, and less where hardly a word is shared.
_WORDS, _FEW = 0.6, 6.0
_KNOWN, _TIMED, _SCOPE, _TABLE, _OFF = 0.25, 0.1, 0.15, 0.08, -0.6


@dataclass(frozen=True)
class Triggers:
    """Finds triggers.

    Attributes:
        retriever: Retriever over an index with steps.
        catalog: Its catalog.
        tables: Finds the tables that the words speak of.
    """

    retriever: MultiRetriever
    catalog: Catalog
    tables: Tables

    def find(self, words: str) -> Step | None:
        """Returns the trigger that fits words such as "every Friday" or "when an incident is created" best."""
        hits = self.retriever.retrieve(brief(words), "step", k=_HITS, where={"kind": "trigger"}, context={"text": "annotation"})
        scores = relative(hits)
        triggers = [step for step in self.catalog.of("step") if step.kind == "trigger"]
        weigh = self._weigh_times(words) if time_of(words) else self._weigh_events(words)
        found = [(scores.get(step.id, 0.0) + weigh.get(step.id, 0.0), -place, step) for place, step in enumerate(triggers)]
        best = max(found, key=lambda item: item[:2], default=None)
        return best[2] if best is not None and (best[0] > 0 or hits) else None

    def _weigh_times(self, words: str) -> Mapping[str, float]:
        known = _known(_TIMES, words)
        weights = {}
        for step in self._all():
            title, described = set(stems_of(step.title)), set(stems_of(step.description))
            weight = 4 * _KNOWN if title & known else 4 * _TIMED if (title | described) & (known | _TIMED_WORDS) else 0.0
            weights[step.id] = weight + (_OFF if "table" in types_of(step) else 0.0)
        return weights

    def _weigh_events(self, words: str) -> Mapping[str, float]:
        kind = event_of(words)
        known = _known(_EVENTS, words)
        item = self._orders(words)
        table = self.tables.mentioned(words)
        weights = {}
        for step in self._all():
            title = set(stems_of(step.title))
            weight = scope_said(step, words) * _SCOPE
            if _is_timed(step):
                weight += _OFF
            if "table" in types_of(step):
                weight += (
                    _TABLE * (table is not None) + (_KNOWN / 2 if title & known else 0.0)
                    if kind in ("delete", "create", "change")
                    else 0.0
                )
            elif item or kind == "order":
                weight += (
                    _KNOWN * bool(set(map(stem, ("catalog", "order"))) & (title | set(stems_of(step.description)))) * (1 + item)
                )
            elif kind in ("mail", "call") and title & known:
                weight += _KNOWN / 2
            weights[step.id] = weight
        return weights

    def _orders(self, words: str) -> bool:
        """Tells whether the words name something that can be ordered."""
        said = f" {' '.join(stems_of(words))} "
        names = (stems_of(item.title) for item in self.catalog.of("catalog_item"))
        return any(len(name) > 1 and f" {' '.join(name)} " in said for name in names)

    def _all(self) -> list[Step]:
        return [step for step in self.catalog.of("step") if step.kind == "trigger"]


def time_of(words: str) -> str:
    """Returns which kind of time words speak of: ``daily``, ``weekly``, ...; empty where they speak of an event."""
    if re.match(
        r"(?:when|whenever|if|once (?!a|per|on|at|in|every|each)|as soon as|after|upon|(?:each|every|any) ?time)\b",
        words,
        re.IGNORECASE,
    ):
        return ""
    timed = re.compile(
        r"\b(?:every|each|once|twice|daily|weekly|(?:mid-)?month(?:ly)?|fortnight(?:ly)?|nightly|hourly|yearly|on|at|of the|"
        r"of each|one-off|weekdays|days?|overnight|\w+days?)\b",
        re.IGNORECASE,
    )
    return next((name for name, pattern, _ in _TIMES if pattern.search(words)), "") if timed.search(words) else ""


def event_of(words: str) -> str:
    """Returns which kind of event words speak of: ``order``, ``mail``, ``call``, ``delete``, ``create`` or ``change``."""
    return next(name for name, pattern, _ in _EVENTS if pattern.search(words))


def _known(kinds: tuple[tuple[str, re.Pattern[str], str], ...], words: str) -> frozenset[str]:
    return next((frozenset(map(stem, known.split())) for _, pattern, known in kinds if pattern.search(words)), frozenset())


def _is_timed(step: Step) -> bool:
    return bool(set(stems_of(step.title)) & _TIMED_WORDS) and "table" not in types_of(step)


def scope_said(step: Step, words: str) -> bool:
    """Tells whether words name the scope of a step: Slack, Google Drive, or the letters that it is called for short."""
    said = words_of(words)
    scope = split_words(step.scope).lower().split()
    if not scope or not said:
        return False
    joined = " ".join(said)
    short = "".join(part[0] for part in scope)
    names = [" ".join(scope), *(part for part in scope if len(part) > 3), *([short] if len(scope) > 1 else [])]
    return any(re.search(rf"\b{re.escape(name)}\b", joined) for name in names)


def relative(hits: list[Hit]) -> dict[str, float]:
    """Returns scores by id that are alike for all ways of ranking: BM25 scores become shares of the highest."""
    if hits and hits[0].mode == "lexical":
        return {hit.id: _WORDS * hit.score / max(hits[0].score, _FEW) for hit in hits}
    return {hit.id: hit.score for hit in hits}
