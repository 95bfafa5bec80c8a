"""Wording a story: the annotation of every step, and of what starts the flow."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from composer.bank import Bank
from composer.scene import Node
from composer.stories import Story
from composer.text import choose, form_of

_DEFINITE = ("their ", "today's ", "yesterday's ", "everybody", "tomorrow's ", "what ")
_LONG = re.compile(r"\b(?:whoever|who|it|of|on|behind|in)\b")


@dataclass
class Phrase:
    """A worded step.

    Attributes:
        text: What is to be done, or the condition.
        form: verb ("renew it"), clause ("the owner gets a mail"), fragment ("AD off").
    """

    node: Node
    text: str
    form: str
    body: list[Phrase] = field(default_factory=list)


class Speaker:
    """Words stories.

    Args:
        bank: The wording.
        rng: Makes the choices.
        used: How often each wording was used; the rarer ones come first.
        whole: Only wordings that can stand in a whole sentence.
    """

    def __init__(self, bank: Bank, rng: random.Random, used: Counter[str], *, whole: bool = False) -> None:
        self.bank = bank
        self.rng = rng
        self.used = used
        self._whole = whole
        self._fragments = frozenset(bank.common["fragments"])

    def phrases(self, nodes: list[Node], *, avoid: dict[int, str] | None = None) -> list[Phrase]:
        """Words steps and their blocks; ``avoid`` has wordings (by uid) that should not come again."""
        return [self._phrase(node, avoid or {}) for node in nodes]

    def _phrase(self, node: Node, avoid: dict[int, str]) -> Phrase:
        text = self.word(node, avoid.get(node.uid, ""))
        form = form_of(text, tuple(self._fragments)) if node.kind == "act" else node.kind
        if node.kind == "list":
            form = form_of(text, (*self._fragments, *(noun.split()[0] for noun in node.nouns)))
        return Phrase(node, text.removeprefix("~"), form, self.phrases(node.body, avoid=avoid))

    def word(self, node: Node, avoid: str = "") -> str:
        """Returns one wording of a step."""
        says = node.says
        if node.kind == "list":
            frames = self.bank.common["find_many"]
            pairs = [(frame, noun) for noun in node.nouns for frame in frames]
            says = [
                frame.replace("{np}", noun)
                for frame, noun in pairs
                if not (noun.startswith(_DEFINITE) and re.search("(the|all|every one of) ", frame))
            ]
        if self._whole and node.kind == "act":
            says = [text for text in says if form_of(text, tuple(self._fragments)) != "fragment"] or says
        ranked = sorted(says, key=lambda text: (self.used[text], self.rng.random()))
        pick = self.rng.choice(ranked[: max(2, (len(ranked) + 1) // 2)])
        for _ in range(3):
            text = self._filled(pick, node)
            if text != avoid:
                return text
            pick = self.rng.choice(ranked)
        return text

    def _filled(self, text: str, node: Node) -> str:
        text = choose(text, self.rng)
        if node.person is not None and "<who>" in text:
            who = self.rng.choice([node.person.says[0], *node.person.says])
            if who == "them" or _LONG.search(who):
                text = text.replace("<who>'s", "their")
            text = text.replace("~<who> gets", "~they get") if who == "them" else text
            text = text.replace("<who>", who)
        record = node.record
        noun = f"the {record.noun}" if record and record.noun else "it"
        pronoun = record.pronoun if record else "it"
        while "<it>" in text:
            text = text.replace("<it>", self.rng.choice([noun, pronoun, pronoun]) if "'s" not in text else noun, 1)
        return choose(text.replace("<name>", noun).replace("them is ", "they are "), self.rng)


def start_text(bank: Bank, story: Story, rng: random.Random, avoid: str = "") -> str:
    """Words what starts a flow, such as "every Monday" or "when a certificate runs out"."""
    says = [choose(str(text), rng) for text in story.start.says]
    pick = rng.choice([text for text in says if text != avoid] or says)
    if story.start.kind == "schedule":
        return pick
    if pick.startswith("I "):
        return f"when {pick}"
    return f"{rng.choice(bank.common['event_words'])} {pick}"


def every_phrase(phrases: list[Phrase]) -> list[Phrase]:
    """Returns all phrases, blocks included, in order."""
    found: list[Phrase] = []
    for item in phrases:
        found += [item, *every_phrase(item.body)]
    return found


def wording(phrases: list[Phrase]) -> dict[int, Any]:
    """Returns the wording of every step by its uid."""
    return {item.node.uid: item.text for item in every_phrase(phrases)}
