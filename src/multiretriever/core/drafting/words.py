"""Words of English that requirements are read by: verbs and what they do to records, numbers, spans of time; and simple stems."""

from __future__ import annotations

import re
from typing import Literal

from multiretriever.core.names import split_words

Action = Literal["find", "count", "create", "update", "delete", "wait", "stop", "other"]

# "get" and "check" are not here: they are as often said of one thing that a step of its own fetches.
_BY_ACTION: dict[Action, str] = {
    "find": "look up|look for|check for|look at|look through|find|search for|search|fetch|list|retrieve|collect|query|gather|"
    "pull|pick out|"
    "pick|select|go through|go over|walk through|run through|pull up|pull together|dig out|identify|take all|take the|read out",
    "count": "count|tally|add up|how many|check how many|see how many",
    "create": "create|open|raise|log|add|insert|register|record|file|generate|draft|make|set up|start|put in|enter",
    "update": "update|close|resolve|assign|reassign|set|mark|change|move|cancel|reopen|escalate|complete|flag|bump|prolong|"
    "extend|"
    "reject|put|switch|raise|lower|increase|decrease|store|note|keep|save|write|reset|clear|fill in|fill|tick|postpone|hand over|"
    "hand|promote|downgrade|upgrade|correct|adjust|tag|untick|unassign|link|attach to",
    "delete": "delete|remove|purge|drop|erase|get rid of|throw away|throw out|clean up|wipe out|discard",
    "stop": "stop|end|quit|abort|finish here|do nothing|leave it|ignore|skip",
    "wait": "wait|pause|sleep|hold for",
}
_OTHERS = (
    "accept|acknowledge|ack|activate|allow|analyse|analyze|announce|answer|apply|approve|archive|arrange|ask|attach|authorise|"
    "authorize|back up|ban|block|book|bring|broadcast|build|buy|calculate|call|carry|catch|charge|chase|check|compare|compose|"
    "compute|configure|confirm|connect|contact|convert|copy|cut|deactivate|deallocate|decide|decline|decommission|deliver|deny|"
    "deploy|detach|determine|disable|disconnect|dispatch|dispose|distribute|dm|download|email|e-mail|enable|encrypt|enforce|"
    "enrol|"
    "enroll|ensure|estimate|evaluate|execute|export|extract|feed|fetch|fire|force|forward|free|get|give|grant|greet|hide|"
    "hold|image|"
    "import|inform|install|invite|invoice|isolate|issue|join|kick|kill|label|launch|leave|lend|let|let know|load|lock|mail|"
    "map|match|"
    "measure|merge|message|monitor|mount|mute|nominate|notify|nudge|offer|onboard|order|page|park|pass|patch|pause|pay|ping|plan|"
    "play|post|prepare|print|process|produce|propose|protect|prove|provision|publish|push|quarantine|rate|read|rebook|reboot|"
    "rebuild|"
    "recalculate|receive|reclaim|recommend|refer|refresh|refund|refuse|release|remind|renew|rename|renumber|reorder|repair|"
    "repeat|"
    "replace|reply|report|request|reschedule|reserve|resize|restart|restore|resubmit|retire|retry|return|review|revoke|ring|"
    "roll back|roll out|roll|rotate|route|run|scan|schedule|score|send|separate|share|ship|show|shut down|sign|silence|sort|"
    "split|"
    "store|submit|subscribe|summarise|summarize|suspend|swap|sync|synchronise|synchronize|take|talk|tell|terminate|test|text|"
    "thank|"
    "track|train|transfer|translate|trigger|turn off|turn on|turn|uninstall|unlink|unlock|unpublish|unsubscribe|upload|use|"
    "validate|"
    "verify|visit|void|vote|wake|warn|wipe|withdraw|withhold|work out"
)
ACTIONS: dict[str, Action] = {verb: "other" for verb in _OTHERS.split("|")}
ACTIONS |= {verb: action for action, verbs in reversed(_BY_ACTION.items()) for verb in verbs.split("|")}

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBERS: dict[str, int] = {word: value for value, word in enumerate(_NUMBER_WORDS)} | {
    "a": 1, "an": 1, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90,
    "half a": 0, "a couple of": 2, "a few": 3, "a hundred": 100,
}  # fmt: skip
NUMBER = rf"(?:\d[\d.,]*|{'|'.join(sorted((item for item in NUMBERS if item != 'half a'), key=len, reverse=True))})"
UNIT = r"(?:minutes?|mins?|hours?|hrs?|h|days?|working days?|business days?|weeks?|months?|quarters?|years?)"
SPAN = rf"{NUMBER}(?:\s+(?:full|whole|more|calendar))?[\s-]+{UNIT}"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPAN_PARTS = re.compile(rf"\b({NUMBER})(?:\s+(?:full|whole|more|calendar))?[\s-]+({UNIT})\b", re.IGNORECASE)
_ENDINGS = (
    "ations",
    "ation",
    "ees",
    "ee",
    "ings",
    "ing",
    "ies",
    "ied",
    "ments",
    "ment",
    "ions",
    "ion",
    "ers",
    "ed",
    "es",
    "er",
    "s",
    "e",
    "y",
)
_SHORTEST = 3
_WORDS, _CHARACTERS = 60, 400


def brief(text: str) -> str:
    """Returns as much of the head of a text as encoders read without cutting it themselves."""
    return " ".join(text[:_CHARACTERS].split()[:_WORDS])


def words_of(text: str) -> list[str]:
    """Returns the words of a text or of a name, in small letters."""
    return _WORD.findall(split_words(text).lower())


def stem(word: str) -> str:
    """Returns what is the same in "close", "closes", "closed" and "closing"."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST:
            word = word[: -len(ending)]
            break
    # "stopped" and "stop"
    return word[:-1] if len(word) > _SHORTEST and word[-1] == word[-2] and word[-1] not in "aeiou" else word


def stems_of(text: str) -> list[str]:
    """Returns the stems of the words of a text."""
    return [stem(word) for word in words_of(text)]


def is_plural(word: str) -> bool:
    """Tells whether a word looks like a plural."""
    return len(word) > _SHORTEST and word.endswith("s") and not word.endswith(("ss", "us", "is", "'s", "\u2019s"))


def number(text: str) -> str:
    """Returns a number in figures: ``5`` for "five" and for "5"."""
    found = NUMBERS.get(text.lower().strip())
    return str(found) if found is not None else text.strip().rstrip(".,").replace(",", "")


def span(text: str) -> str:
    """Returns a span of time in figures, such as ``5 days``; empty where the text holds none."""
    match = _SPAN_PARTS.search(text)
    if match is None:
        return ""
    unit = match.group(2).lower().removeprefix("working ").removeprefix("business ")
    unit = {"min": "minutes", "mins": "minutes", "h": "hours", "hr": "hours", "hrs": "hours"}.get(unit, unit)
    count = number(match.group(1))
    return f"{count} {unit.rstrip('s')}{'' if count == '1' else 's'}"
