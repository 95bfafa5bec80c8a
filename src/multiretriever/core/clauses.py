"""Taking a requirement apart: when it starts, and what is to be done, clause by clause. Rules for English, no model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Action = Literal["find", "create", "update", "delete", "other"]

_VERBS: dict[Action, str] = {
    "find": "look up|look for|find|search for|search|get|fetch|list|retrieve|collect|check for|read|query|gather",
    "create": "create|open|raise|log|add|insert|register|record",
    "update": "update|close|resolve|assign|reassign|set|mark|change|move|cancel|reopen|escalate|complete|put|flag",
    "delete": "delete|remove|purge|drop",
    "other": "send|post|notify|email|mail|message|tell|inform|remind|ask|approve|reject|wait|attach|invite|disable|enable|lock|"
    "unlock|reset|restart|reboot|page|call|run|start|stop|publish|archive|order|request|revoke|grant|provision|tag|link|merge|"
    "share|copy|export|import|sync|deploy|scan|rotate|renew|issue|wipe|isolate|schedule|submit|calculate|convert|give|make|take",
}
_ACTIONS = {verb: action for action, verbs in _VERBS.items() for verb in verbs.split("|")}
_VERB = "|".join(sorted((re.escape(verb) for verb in _ACTIONS), key=len, reverse=True))
_LEADING_VERB = re.compile(rf"(?:(?:please|also|automatically|it should|we|then|and)\s+)*({_VERB})\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")
_NEXT_CLAUSE = re.compile(
    rf"\s*(?:,\s*(?:and\s+then|then|and)?|\band\s+then\b|\bthen\b|\band\b)\s+(?=(?:{_VERB})\b)", re.IGNORECASE
)
_TRIGGER_WORDS = (
    r"every|each|daily|weekly|monthly|hourly|once|when|whenever|as soon as|on the|on every|on|at|after|before|if|"
    r"\d+ (?:days?|hours?|weeks?)"
)
_TRIGGER = re.compile(rf"((?:{_TRIGGER_WORDS})\b[^,.;:]*?)\s*[,:]\s*", re.IGNORECASE)
_TRAILING_TRIGGER = re.compile(
    r"\s+((?:every|each|once a)\s+(?:\w+\s+)?(?:day|week|month|hour|morning|evening|night|monday|friday))\W*$", re.IGNORECASE
)
_FOR_EACH = re.compile(r"for (?:each|every|all)\b[^,:]*[,:]?\s*", re.IGNORECASE)
_IF = re.compile(r"if ([^,:]+)[,:]\s*(?:then\s+)?", re.IGNORECASE)
_PRONOUN = re.compile(r"\b(?:them|it|those|these|each(?: one)?|all of them)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Clause:
    """One thing that is to be done.

    Attributes:
        text: Its words.
        verb: The verb that it starts with, in small letters; empty when none is known.
        action: What the verb does to records.
        condition: What must hold for it, in words; empty without an ``if``.
        each: Whether it says "for each".
        refers: Whether it speaks of something named before (them, it).
    """

    text: str
    verb: str = ""
    action: Action = "other"
    condition: str = ""
    each: bool = False
    refers: bool = False

    @property
    def object(self) -> str:
        """Its words without the verb and without pronouns."""
        rest = self.text[len(self.verb) :] if self.text.lower().startswith(self.verb) else self.text
        return _PRONOUN.sub("", rest).strip(" ,.")


@dataclass(frozen=True)
class Outline:
    """A requirement taken apart.

    Attributes:
        trigger: Words that say when it starts; empty when it does not say.
        clauses: What is to be done, in order.
    """

    trigger: str
    clauses: tuple[Clause, ...]


def outline(requirement: str) -> Outline:
    """Takes a requirement apart into its trigger and its clauses."""
    text = " ".join(requirement.split()) if "\n" not in requirement.strip() else requirement.strip()
    match = _TRIGGER.match(text)
    trigger = match.group(1) if match else ""
    rest = text[match.end() :] if match else text
    if not trigger and (tail := _TRAILING_TRIGGER.search(rest)):
        trigger, rest = tail.group(1), rest[: tail.start()]
    sentences = [item.strip(" .!?;") for item in _SENTENCE_END.split(rest)]
    clauses = [clause for sentence in sentences if sentence for clause in _clauses(sentence)]
    return Outline(trigger, tuple(clauses))


def _clauses(sentence: str) -> list[Clause]:
    found = []
    condition, each = "", False
    if match := _FOR_EACH.match(sentence):
        each, sentence = True, sentence[match.end() :]
    if match := _IF.match(sentence):
        condition, sentence = match.group(1), sentence[match.end() :]
    for part in _NEXT_CLAUSE.split(sentence):
        text = part.strip(" ,.")
        if text:
            found.append(_clause(text, condition, each))
    return found


def _clause(text: str, condition: str, each: bool) -> Clause:
    match = _LEADING_VERB.match(text)
    verb = match.group(1).lower() if match else ""
    text = text[match.start(1) :] if match else text
    return Clause(text, verb, _ACTIONS.get(verb, "other"), condition, each, bool(_PRONOUN.search(text)))
