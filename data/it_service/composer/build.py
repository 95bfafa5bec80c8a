"""From a story to a flow in the repository's form."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from composer.bank import Bank
from composer.scene import Node
from composer.speak import Phrase, Speaker, every_phrase, start_text, wording
from composer.stories import Story
from composer.text import joined, upper_first
from composer.write import Writer
from multiretriever.core import Flow
from multiretriever.core.flow_references import parse_conditions
from multiretriever.grounding import check_flow

STYLES = ("sloppy", "exact", "ticket", "sloppy", "exact", "prose")
_UID = re.compile(r"@(\d+)")
_OUTPUT = re.compile(r"\{\{(\d+)\.")


@dataclass
class Draft:
    """A flow and what the choice among flows looks at.

    Attributes:
        flow: The flow as plain values; its name is given at the end.
        uses: Definitions, with how often each is used.
        fields: Fields named in conditions and values, as ``table.field``.
        shingles: Of the requirement and the annotations, for the search for near-duplicates.
    """

    key: str
    source: str
    flow: dict[str, Any]
    uses: Counter[str]
    tables: frozenset[str]
    fields: frozenset[str]
    shingles: frozenset[str]

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.flow["steps"])

    @property
    def core(self) -> int:
        """Number of uses of definitions of the scope ``core``."""
        return sum(count for name, count in self.uses.items() if name.startswith("core."))


def shingles(requirement: str, annotated: list[str]) -> frozenset[str]:
    """Returns the word triples of a requirement and its annotations."""
    words = re.findall(r"[a-z0-9']+", " ".join([requirement, *annotated]).lower())
    return frozenset(" ".join(words[at : at + 3]) for at in range(len(words) - 2))


class Builder:
    """Words stories and makes flows of them.

    Args:
        bank: The wording and the catalog.
        seed: Of all choices.
        known: Annotations of other flows; they are not said again.
    """

    def __init__(self, bank: Bank, seed: int, known: frozenset[str] = frozenset()) -> None:
        self.bank = bank
        self.seed = seed
        self.known = known
        self.used: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def build(self, key: str, story: Story, style: str) -> Draft | None:
        """Returns the flow of a story, or None if it breaks a rule."""
        rng = random.Random(f"{self.seed}/words/{key}")
        numbered = _numbered(story.nodes)
        if not 2 <= len(numbered) <= 15:
            return None
        speaker = Speaker(self.bank, rng, self.used, whole=style in ("exact", "prose"))
        phrases = speaker.phrases(story.nodes)
        said = wording(phrases)
        self.used.update(item.text for item in every_phrase(phrases))
        other = speaker.phrases(story.nodes, avoid=said)
        start = start_text(self.bank, story, rng)
        again = start_text(self.bank, story, rng, avoid=start)
        mixed = _mixed(phrases, other, rng)
        flow: dict[str, Any] = {"name": key, "label": _label(story, rng), "scope": story.scope}
        flow["description"] = self._description(story, numbered, rng)
        flow["requirement"] = Writer(self.bank, rng, story, start).write(mixed, style)
        if rng.random() < 0.42:
            styles = [name for name in STYLES if name != style]
            retold = Speaker(self.bank, rng, self.used, whole=True).phrases(story.nodes, avoid=said)
            flow["paraphrases"] = [Writer(self.bank, rng, story, again).write(retold, rng.choice(styles))]
        flow["trigger"] = {
            "annotation": _trigger_words(start, rng) if story.start.kind == "event" else start,
            "definition": story.start.definition,
            "inputs": story.start.inputs,
        }
        flow["steps"] = self._steps(numbered, said, wording(other), rng)
        return self._draft(key, story, flow)

    def _steps(
        self, numbered: list[tuple[Node, int]], said: dict[int, Any], other: dict[int, Any], rng: random.Random
    ) -> list[dict[str, Any]]:
        orders = {node.uid: order for order, (node, _) in enumerate(numbered, start=1)}
        steps = []
        for order, (node, block) in enumerate(numbered, start=1):
            step: dict[str, Any] = {"annotation": said[node.uid]}
            if rng.random() < 0.27 and other[node.uid] != said[node.uid]:
                step["paraphrases"] = [other[node.uid]]
            step |= {
                "definition": node.definition,
                "order": order,
                "block": orders.get(block, 0),
                "inputs": _renumbered(node.inputs, orders),
            }
            steps.append(step)
        return steps

    def _draft(self, key: str, story: Story, flow: dict[str, Any]) -> Draft | None:
        problem = self._problem(flow)
        if problem:
            self.refused[problem] += 1
            return None
        steps = [flow["trigger"], *flow["steps"]]
        tables, fields = _named(steps, self.bank)
        annotated = [step["annotation"] for step in flow["steps"]]
        uses = Counter(step["definition"] for step in steps)
        return Draft(key, story.source, flow, uses, tables, fields, shingles(flow["requirement"], annotated))

    def _problem(self, flow: dict[str, Any]) -> str:
        text = repr(flow)
        if "@" in re.sub(r"[\w.-]+@(?:[\w.-]+|')", "", text) and _UID.search(re.sub(r"[\w.-]+@[\w.-]+", "", text)):
            return f"{flow['name']}: an output that does not exist"
        said = [flow["requirement"], *(step["annotation"] for step in flow["steps"])]
        if any(("<" in one and ">" in one) or "{np}" in one for one in said):
            return f"{flow['name']}: an open slot in {[one for one in said if '<' in one or '{np}' in one][:1]}"
        if any(len(one.split()) > 4 and one.lower() in self.known for one in said):
            return f"{flow['name']}: says what another flow says"
        if _repeats(flow["description"], flow["requirement"]):
            return f"{flow['name']}: the description repeats the requirement"
        for step in flow["steps"]:
            if any(int(number) >= step["order"] for number in _OUTPUT.findall(repr(step["inputs"]))):
                return f"{flow['name']}: uses an output too early"
        findings = check_flow(Flow.model_validate(flow), self.bank.catalog).findings
        return f"{flow['name']}: {findings[0]}" if findings else ""

    def _description(self, story: Story, numbered: list[tuple[Node, int]], rng: random.Random) -> str:
        nouns = self._nouns([node.definition for node, _ in numbered], rng)
        when = {
            "core.daily": "daily",
            "core.weekly": "weekly",
            "core.monthly": "monthly",
            "core.repeat": "recurring",
            "core.run_once": "one-time",
        }
        word = when.get(story.start.definition, "event-driven")
        if story.descriptions and rng.random() < 0.5:
            return rng.choice(story.descriptions)
        if story.descriptions:
            return f"{rng.choice(story.descriptions).rstrip('.')}: {joined(nouns)}."
        label = self.bank.label("table", story.table) if story.table else self.bank.label("step", story.start.definition)
        trigger = self.bank.label("step", story.start.definition)
        frame = rng.choice(self.bank.common["describe"])
        scope = self.bank.common["scope_labels"].get(story.scope, story.scope.replace("_", " "))
        text: str = frame.format(
            table=label, nouns=joined(nouns), label_scope=upper_first(scope), when=upper_first(word), when_low=f"on {trigger}"
        )
        return text

    def _nouns(self, definitions: list[str], rng: random.Random) -> list[str]:
        found: list[str] = []
        for name in dict.fromkeys(definitions):
            if name in self.bank.common["nouns"]:
                found.append(rng.choice(self.bank.common["nouns"][name]))
            elif not name.startswith("core."):
                found.append(self.bank.label("step", name) if rng.random() < 0.5 else f'"{self.bank.label("step", name)}"')
        return found[:4] or ["a few record operations"]


def _repeats(description: str, requirement: str) -> bool:
    words = set(re.findall(r"\w{4,}", description.lower()))
    return len(words & set(re.findall(r"\w{4,}", requirement.lower()))) > 0.7 * len(words)


def _numbered(nodes: list[Node], block: int = 0) -> list[tuple[Node, int]]:
    found: list[tuple[Node, int]] = []
    for node in nodes:
        found += [(node, block), *_numbered(node.body, node.uid)]
    return found


def _renumbered(value: Any, orders: dict[int, int]) -> Any:
    if isinstance(value, dict):
        return {key: _renumbered(item, orders) for key, item in value.items()}
    if isinstance(value, list):
        return [_renumbered(item, orders) for item in value]
    if isinstance(value, str):
        return re.sub(r"(?<=\{\{)@(\d+)", lambda match: str(orders.get(int(match.group(1)), match.group(0))), value)
    return value


def _mixed(phrases: list[Phrase], other: list[Phrase], rng: random.Random) -> list[Phrase]:
    """Mostly the annotations, sometimes another wording of the same step."""
    mixed = []
    for one, two in zip(phrases, other, strict=True):
        pick = two if rng.random() < 0.2 else one
        mixed.append(Phrase(pick.node, pick.text, pick.form, _mixed(one.body, two.body, rng)))
    return mixed


def _label(story: Story, rng: random.Random) -> str:
    label = rng.choice(story.labels).rstrip("?.")
    return upper_first(label if len(label) <= 70 else label[:70].rsplit(" ", 1)[0])


def _trigger_words(start: str, rng: random.Random) -> str:
    words = start.split(" ", 1)
    return (
        words[1] if words[0] in ("when", "whenever", "if", "once") and rng.random() < 0.5 and len(words[1].split()) > 2 else start
    )


def _named(steps: list[dict[str, Any]], bank: Bank) -> tuple[frozenset[str], frozenset[str]]:
    tables: set[str] = set()
    fields: set[str] = set()
    for step in steps:
        name = step["inputs"].get("table") or step["inputs"].get("class")
        found = next(iter(bank.catalog.find("table", name)), None) if isinstance(name, str) else None
        if found is None:
            continue
        tables.add(found.name)
        known = [item.name for item in bank.catalog.fields_of(found)]
        named = list(step["inputs"].get("values") or {}) if isinstance(step["inputs"].get("values"), dict) else []
        named += [item.field for item in parse_conditions(str(step["inputs"].get("conditions") or ""), known)]
        fields.update(f"{found.name}.{item}" for item in named if item in known)
    return frozenset(tables), frozenset(fields)
