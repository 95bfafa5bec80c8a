"""What stands in for a chat model where there is none: rules that pick a tool and fill in its parameters.

They know nothing of the company. Of the tools that were retrieved they take the one whose name and description share the most
with the request, and they ask for what is missing. They do not plan, do not combine calls, and do not understand: "the customer
got it twice" finds no tool that voids a bill, where a language model would.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from operations import queries_of
from rule_arguments import fill_arguments

from multiretriever.core.names import split_words

# What people say for the verbs that most operations begin with.
_SAID_FOR = {
    "list": "which all show who see",
    "get": "show what look see",
    "track": "where",
    "search": "find look where",
    "create": "new enter add make report book need register open log",
    "update": "change set correct rename",
    "delete": "remove",
    "add": "put invite write",
    "remove": "take",
}
_SILENT = frozenset(
    "a an the of to for from in on at by it its is are was i me my we our you your please and or this that with as".split()
)
_ENDING = re.compile(r"(?<=\w{3})(ings?|ed|es|s|e)$")
_ID = re.compile(r"\b([A-Z]{2,5})-\d+\b")
_LEAST, _CLEAR = 1.6, 2.5


@dataclass(frozen=True)
class Offered:
    """A tool as a chat model is shown it."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Decision:
    """What the rules do: say something, or call a tool where one is named."""

    text: str = ""
    name: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


def decide(said: Sequence[tuple[str, str]], tools: Sequence[Offered]) -> Decision:
    """Decides what to do next.

    Args:
        said: The conversation so far: who (``user``, ``assistant``, ``tool``) and what.
        tools: The tools that are offered, best first.
    """
    if said and said[-1][0] == "tool":
        return Decision(f"The service answered: {said[-1][1]}")
    queries = queries_of(said)
    # A message that says by itself what to do answers no question.
    for request, least in [*((query, _CLEAR) for query in queries[1:]), *((query, _LEAST) for query in queries[:1])]:
        # Of two that fit as well, the one that was found first.
        ranked = sorted(((_fit(tool, request), -place) for place, tool in enumerate(tools)), reverse=True)
        if ranked and ranked[0][0] >= least:
            return _use(tools[-ranked[0][1]], request)
    return Decision("None of the tools that were offered seems to do that.")


def _use(best: Offered, request: str) -> Decision:
    arguments, missing = fill_arguments(best.parameters, request)
    if not missing and best.name.rpartition("_")[2].startswith("update") and len(arguments) == len(best.parameters["required"]):
        return Decision(f"I can do this ({best.description.partition('.')[0].lower()}). What is to be changed, and to what?")
    if missing:
        needed = " and ".join(_question(name, best.parameters["properties"][name]) for name in missing)
        return Decision(f"To do this ({best.description.partition('.')[0].lower()}) I need {needed}. Can you tell me?")
    return Decision(name=best.name, arguments=arguments)


def _question(name: str, schema: Mapping[str, Any]) -> str:
    choices = f" (one of {', '.join(map(str, schema['enum']))})" if "enum" in schema else ""
    words = schema.get("description", "")
    return f"the {split_words(name).lower()}" + (f" ({words[0].lower()}{words[1:]})" if words else choices)


def _fit(tool: Offered, request: str) -> float:
    """How well a tool fits a request: the words of its name and description that were said, and the kind of the ids.

    What nobody said is not done: without its verb in the request a tool does not fit at all, nor with ids of another kind.
    """
    said = _stems(request)
    verb, *nouns = split_words(tool.name.rpartition("_")[2]).lower().split()
    shown = " ".join(str(part.get("description", "")) for part in tool.parameters.get("properties", {}).values())
    kinds, given = _kinds(shown), _kinds(request)
    if not said & {_stem(word) for word in (verb, *_SAID_FOR.get(verb, "").split())} or (kinds and given and not kinds & given):
        return 0.0
    names = {_stem(noun) for noun in nouns}
    about = _stems(tool.description)
    return 1.5 + 2.0 * len(names & said) / max(1, len(names)) + len(about & said) / max(1, len(said)) + len(kinds & given)


def _kinds(text: str) -> set[str]:
    return {match[1] for match in _ID.finditer(text)}


def _stems(text: str) -> set[str]:
    return {_stem(word) for word in re.findall(r"[a-z]+", text.lower()) if word not in _SILENT}


def _stem(word: str) -> str:
    return _ENDING.sub("", word)
