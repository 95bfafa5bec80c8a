"""What flows are about: plots, stories of triggers, and the conditions of tables."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from composer.bank import Bank
from composer.plan import Planner
from composer.scene import Node, Record, Scene, UnfitError
from composer.text import choose, slug, upper_first

_EVENTS = {"created": "core.record_created", "updated": "core.record_updated", "either": "core.record_created_or_updated"}
_SCHEDULES = ("daily", "daily", "daily", "weekly", "weekly", "weekly", "monthly", "monthly", "repeat", "once")
_STEP_OF = {"once": "core.run_once"}


@dataclass
class Start:
    """How a flow starts: a step of kind trigger, its inputs, and wordings of the clause or of the time."""

    definition: str
    inputs: dict[str, Any]
    says: list[str]
    kind: str  # event or schedule


@dataclass
class Story:
    """A flow before it is worded.

    Attributes:
        source: Where in the banks it comes from; limits how often one source is told.
        labels: Names to choose from.
        whys: Reasons that the requirement may give.
        formal: Whether the labels are made of the catalog's words, which a requirement does not use.
    """

    source: str
    scope: str
    labels: list[str]
    descriptions: list[str]
    start: Start
    nodes: list[Node]
    whys: list[str] = field(default_factory=list)
    table: str = ""
    formal: bool = False


class Teller:
    """Makes stories.

    Args:
        bank: The wording.
        seed: Of all choices; each story has a generator of its own, so that a new bank entry does not change the others.
    """

    def __init__(self, bank: Bank, seed: int) -> None:
        self.bank = bank
        self.seed = seed

    def stories(self) -> Iterator[tuple[str, Story]]:
        """Yields every story with its key."""
        for key, tell in self._tellers():
            rng = random.Random(f"{self.seed}/{key}")
            planner = Planner(self.bank, rng)
            try:
                story = tell(planner)
            except (UnfitError, KeyError):
                continue
            if story is not None and story.nodes:
                yield key, story

    def _tellers(self) -> Iterator[tuple[str, Any]]:
        for name, plot in self.bank.plots.items():
            for turn in range(16):
                yield f"plot/{name}/{turn}", lambda planner, name=name, plot=plot: self._plot(planner, name, plot)
        for name, entry in self.bank.triggers.items():
            for index, acts in enumerate(entry["stories"]):
                for turn in range(5):
                    yield (
                        f"trigger/{name}/{index}/{turn}",
                        lambda planner, name=name, acts=acts: self._trigger(planner, name, acts),
                    )
        for table, words in self.bank.tables.items():
            yield from self._of_table(table, words)

    def _of_table(self, table: str, words: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for key, condition in words.get("conditions", {}).items():
            if not condition.get("single"):
                yield from self._of_condition(table, key, condition)
        for turn in range(6):
            yield f"double/{table}/{turn}", lambda planner: self._double(planner, table)
        for key in words.get("creates", {}):
            for turn in range(2):
                yield f"arrival/{table}/{key}/{turn}", lambda planner, key=key: self._arrival(planner, table, key)

    def _of_condition(self, table: str, key: str, condition: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        kinds = ["sweep", "sweep", "sweep", "count", "export", "bulk", "check"]
        if condition.get("event"):
            kinds += ["event", "event", "event", "event_check"]
        for turn, kind in enumerate(kinds):
            yield (
                f"table/{table}/{key}/{kind}/{turn}",
                lambda planner, kind=kind: self._mini(planner, table, key, condition, kind),
            )

    # Starts.

    def _schedule(self, rng: random.Random, kind: str = "", *, calm: bool = True) -> Start:
        kind = kind or rng.choice(_SCHEDULES)
        entries = self.bank.common["schedule"][kind]
        if calm and kind == "repeat":
            entries = [entry for entry in entries if "minutes" not in entry["inputs"]["every"]]
        entry = rng.choice(entries)
        return Start(_STEP_OF.get(kind, f"core.{kind}"), dict(entry["inputs"]), list(entry["say"]), "schedule")

    def _event(self, table: str, condition: dict[str, Any], rng: random.Random) -> Start:
        definition = _EVENTS[condition.get("on", "either")]
        inputs = {"table": table, "conditions": condition["where"]}
        if definition == "core.record_updated" and rng.random() < 0.4:
            inputs["run"] = rng.choice(["once", "every_change", "only_if_not_running"])
        return Start(definition, inputs, [str(text) for text in condition["event"]], "event")

    def _start_of(self, spec: dict[str, Any], rng: random.Random) -> tuple[Start, Record | None]:
        if "order" in spec:
            return self._order(spec["order"], rng)
        if "schedule" in spec:
            return self._schedule(rng, spec["schedule"], calm=False), None
        if "use" in spec:
            return self._used(spec["use"], rng)
        if "event" in spec:
            table, _, key = spec["event"].partition(".")
            condition = self.bank.tables[table]["conditions"][key]
            start = self._event(table, {"event": [], **condition}, rng)
            start = Start(
                start.definition, {**start.inputs, **spec.get("inputs", {})}, list(spec.get("say") or start.says), "event"
            )
            if not start.says:
                raise UnfitError(f"{spec['event']} is no event")
            return start, self._given(spec) or Record(
                start.inputs["table"], "trigger.record", self._noun(start.inputs["table"], rng)
            )
        says = [str(text) for text in spec["say"]]
        return Start(spec["do"], dict(spec.get("inputs", {})), says, "event"), self._given(spec)

    def _order(self, item: str, rng: random.Random) -> tuple[Start, Record]:
        label = self.bank.label("catalog_item", item)
        said = [label, f'"{label}"', label.lower() if len(label.split()) < 3 and not label.isupper() else label]
        says = [text.format(item=name) for text in self.bank.common["order"] for name in said]
        noun = rng.choice(["order", "item", "request"])
        return Start("core.service_catalog", {"catalog_item": item}, says, "event"), Record(
            "requested_item", "trigger.requested_item", noun
        )

    def _used(self, name: str, rng: random.Random) -> tuple[Start, Record | None]:
        entry = self.bank.triggers[name]
        says = [choose(str(text), rng) for text in entry["say"]]
        return Start(name, dict(entry.get("inputs", {})), says, "event"), self._given(entry)

    def _given(self, spec: dict[str, Any]) -> Record | None:
        given = spec.get("rec")
        if not given:
            return None
        return Record(given["table"], given["value"].strip("{}"), (given.get("one") or ["record"])[0])

    def _noun(self, table: str, rng: random.Random) -> str:
        noun: str = rng.choice(self.bank.tables.get(table, {}).get("one", ["record"]))
        return noun

    # Stories.

    def _plot(self, planner: Planner, name: str, plot: dict[str, Any]) -> Story:
        start, record = self._start_of(plot["trigger"], planner.rng)
        scene = Scene(record, record)
        if plot.get("who"):
            scene = Scene(record, record, planner._person(plot["who"], scene))
        nodes = planner.expand(plot["steps"], scene)
        return Story(
            f"plot/{name}",
            plot["scope"],
            list(plot["label"]),
            _whole(plot["description"]),
            start,
            nodes,
            list(plot.get("why", [])),
        )

    def _trigger(self, planner: Planner, name: str, acts: list[Any]) -> Story:
        start, record = self._used(name, planner.rng)
        nodes = planner.expand(acts, Scene(record, record))
        names = [node.definition for node in nodes if not node.definition.startswith("core.")]
        steps = [self.bank.label("step", one) for one in names[:2]]
        label = f"{self.bank.label('step', name)}: {' and '.join(steps) or 'follow-up'}"
        return Story(f"trigger/{name}", name.partition(".")[0], [label], [], start, nodes, formal=True)

    def _mini(self, planner: Planner, table: str, key: str, condition: dict[str, Any], kind: str) -> Story | None:
        rng, words = planner.rng, self.bank.tables[table]
        whys = list(condition.get("why", []))
        if kind.startswith("event"):
            start = self._event(table, condition, rng)
            record = Record(table, "trigger.record", self._noun(table, rng))
            acts = self._checked(words, rng) if kind == "event_check" else condition["then"]
            if rng.random() < 0.3 and acts and self._is_work(table):
                acts = [*acts, *rng.choice(self.bank.common["followups"])]
            nodes = planner.expand(acts, Scene(record, record)) if acts else []
        else:
            start = self._schedule(rng)
            nodes = self._swept(planner, table, condition, kind)
        frames = self.bank.common["labels"][kind]
        labels = [upper_first(frame.format(np=choose(str(text), rng))) for text in condition["say"] for frame in frames]
        if not nodes:
            return None
        return Story(f"table/{table}/{key}", words.get("scope", "core"), labels, [], start, nodes, whys, table)

    def _swept(self, planner: Planner, table: str, condition: dict[str, Any], kind: str) -> list[Node]:
        rng, common = planner.rng, self.bank.common
        many = {"list": table, "where": condition["where"], "say": condition["say"]}
        scene = Scene(None, None)
        if kind == "count":
            limit = rng.choice([0, 5, 10, 20, 50])
            says = [text.format(np=noun) for noun in condition["say"] for text in common["count"]]
            more = (
                ["if there are any", "if we have some", "any?"]
                if not limit
                else [text.format(n=limit) for text in common["more_than"]]
            )
            branch = {"if": f"<n.count> > {limit}", "say": more, "then": rng.choice(common["counted"])}
            if rng.random() < 0.3:
                branch |= {"not": [text.format(n=limit) for text in common["not_more"]], "else": ["core.log_message"]}
            acts: list[Any] = [
                {
                    "do": "core.count_records",
                    "inputs": {"table": table, "conditions": condition["where"]},
                    "say": says,
                    "as": "n",
                },
                branch,
            ]
            return planner.expand(acts, scene)
        if kind == "export":
            acts = [{**many, "as": "found"}, {"do": "core.export_records", "as": "file"}, *rng.choice(common["exports"])]
            return planner.expand(acts, scene)
        if kind == "bulk":
            return self._in_bulk(planner, table, condition)
        then = self._checked(self.bank.tables[table], rng) if kind == "check" else condition["then"]
        if not then:
            return []
        ending = rng.choice(common["endings"]) if rng.random() < 0.3 else []
        return planner.expand([{**many, "each": then}, *ending], scene)

    def _is_work(self, table: str) -> bool:
        found = next(iter(self.bank.catalog.find("table", table)), None)
        return found is not None and found.extends == "task"

    def _double(self, planner: Planner, table: str) -> Story | None:
        """Two sweeps over one table in one flow."""
        rng, words = planner.rng, self.bank.tables[table]
        conditions = [item for item in words.get("conditions", {}).values() if not item.get("single")]
        if len(conditions) < 2:
            return None
        start = self._schedule(rng)
        acts = [
            {"list": table, "where": item["where"], "say": item["say"], "each": item["then"]}
            for item in rng.sample(conditions, 2)
        ]
        nodes = planner.expand(
            [*acts, *(rng.choice(self.bank.common["endings"]) if rng.random() < 0.3 else [])], Scene(None, None)
        )
        many = rng.choice(words["many"])
        labels = [upper_first(frame.format(np=many)) for frame in self.bank.common["labels"]["double"]]
        whys = [why for item in conditions for why in item.get("why", [])]
        return Story(
            f"double/{table}", words.get("scope", "core"), labels, [], start, nodes, whys[:1] if len(whys) == 1 else [], table
        )

    def _checked(self, words: dict[str, Any], rng: random.Random) -> list[Any]:
        checks = list(words.get("checks", {}).values())
        return [rng.choice(checks)] if checks else []

    def _in_bulk(self, planner: Planner, table: str, condition: dict[str, Any]) -> list[Node]:
        keys = [act.partition(":")[2] for act in condition["then"] if isinstance(act, str) and act.startswith("update:")]
        updates = [self.bank.tables[table]["updates"].get(key) for key in keys]
        plain = [entry for entry in updates if entry and "<" not in str(entry["set"])]
        if "delete" in condition["then"] and planner.rng.random() < 0.7:
            nodes = planner.bulk(table, condition, None)
        elif plain:
            nodes = planner.bulk(table, condition, planner.rng.choice(plain))
        else:
            return []
        return nodes + planner.expand(planner.rng.choice(self.bank.common["endings"]), Scene(None, None))

    def _arrival(self, planner: Planner, table: str, key: str) -> Story:
        rng, words = planner.rng, self.bank.tables[table]
        entry, arrival = words["creates"][key], rng.choice(self.bank.common["arrivals"])
        one = rng.choice(words["one"])
        inputs = {name: value.format(one=one, slug=slug(table)) for name, value in arrival["inputs"].items()}
        start = Start(arrival["do"], inputs, [text.format(one=one) for text in arrival["say"]], "event")
        many = rng.choice(words["many"])
        labels = [upper_first(text.format(one=one, many=many)) for text in self.bank.common["labels"]["arrival"]]
        request = Record(table, "trigger.request", one)
        scene = Scene(request, request)
        fields = [name for name in entry["values"] if not str(entry["values"][name]).startswith("<")]
        if rng.random() < 0.35 and fields:
            says = [text.format(one=one) for text in self.bank.common["upsert"]]
            made: dict[str, Any] = {
                "do": "core.create_or_update_record",
                "inputs": {"table": table, "key_field": fields[0], "values": entry["values"]},
                "say": says,
                "as": "made",
            }
        else:
            made = {"create": table, "values": entry["values"], "say": entry["say"], "as": "made"}
        nodes = planner.expand([made], scene)
        after = Record(table, f"@{nodes[0].uid}.record", one)
        people = list(words.get("people", {})) + list(words.get("groups", {}))
        rest: list[Any] = ["core.copy_attachments"] if arrival["do"] == "core.inbound_email" and rng.random() < 0.6 else []
        if people:
            rest.append(f"tell:{rng.choice(people)}")
        nodes += planner.expand(rest or ["core.log_message"], Scene(after, request))
        return Story(f"arrival/{table}", words.get("scope", "core"), labels, [], start, nodes, [], table)


def _whole(texts: list[str]) -> list[str]:
    """Puts sentences together again that a comma had cut in the list."""
    found: list[str] = []
    for text in texts:
        if found and not found[-1].endswith("."):
            found[-1] += f", {text}"
        else:
            found.append(str(text))
    return found
