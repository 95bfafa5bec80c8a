"""From acts (see ``banks/README.md``) to a tree of steps."""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import replace
from typing import Any

from composer.bank import Bank
from composer.scene import Node, Person, Record, Scene, UnfitError
from composer.text import choose, pronouned

_SLOT = re.compile(r"<([a-z_0-9]+(?:\.[A-Za-z_0-9]+)*)>")
_BODIES = ("Office", "Board", "Editors", "Team", "Desk", "Committee", "Group", "Managers", "Leads", "Council", "Officer")
_ORDERS = ("request", "requested_item", "access_request")
_LOGIC = ("core.if", "core.else_if", "core.else", "core.for_each", "core.do_until")


class Planner:
    """Turns acts into nodes.

    Args:
        bank: The wording.
        rng: Makes the choices.
    """

    def __init__(self, bank: Bank, rng: random.Random) -> None:
        self.bank = bank
        self.rng = rng
        self._uids = itertools.count(1)
        self._last = 0

    def expand(self, acts: list[Any], scene: Scene) -> list[Node]:
        """Returns the steps of acts; aliases defined on the way hold for the acts that follow."""
        nodes: list[Node] = []
        aliases = dict(scene.aliases)
        scene = replace(scene, aliases=aliases)
        for index, act in enumerate(acts):
            if isinstance(act, dict) and "any" in act:
                nodes += self._inline(self.rng.choice(act["any"]), scene, aliases)
            elif isinstance(act, dict) and "maybe" in act:
                nodes += self._inline(act["maybe"], scene, aliases) if self.rng.random() < 0.5 else []
            elif self._is_approval(act):
                return nodes + self._approval(act, acts[index + 1 :], scene)
            else:
                nodes += self._act(act, scene, aliases)
        return nodes

    def _inline(self, acts: list[Any], scene: Scene, aliases: dict[str, tuple[int, str, str]]) -> list[Node]:
        nodes: list[Node] = []
        for act in acts:
            if self._is_approval(act):
                nodes += self._approval(act, [], scene)
            elif isinstance(act, dict) and ("any" in act or "maybe" in act):
                nodes += self.expand([act], scene)
            else:
                nodes += self._act(act, scene, aliases)
        return nodes

    @staticmethod
    def _is_approval(act: Any) -> bool:
        return (isinstance(act, str) and act.startswith("approve:")) or (isinstance(act, dict) and "approve_group" in act)

    def _act(self, act: Any, scene: Scene, aliases: dict[str, tuple[int, str, str]]) -> list[Node]:
        if isinstance(act, str):
            return self._named(act, scene)
        for key in ("list", "each", "until", "if", "find", "create", "create_task", "do"):
            if key in act:
                nodes: list[Node] = getattr(self, f"_{key}")(act, scene)
                if "as" in act:
                    first = nodes[0]
                    table = str(
                        act.get("table")
                        or act.get("find")
                        or act.get("list")
                        or act.get("create")
                        or act.get("create_task")
                        or ""
                    )
                    aliases[act["as"]] = (first.uid, "record" if key in ("find", "create", "create_task") else "output", table)
                return nodes
        raise UnfitError(f"what is {act}?")

    def _named(self, act: str, scene: Scene) -> list[Node]:
        head, _, rest = act.partition(":")
        if head in ("tell", "group"):
            if head == "tell" and self._record(scene).table in _ORDERS:
                head = "inform"
            wording = self.rng.choices(self.bank.common[head], weights=self._weights(head))[0]
            return self._do({**wording, "who": rest}, scene)
        if head == "update":
            entry = self._table(scene).get("updates", {}).get(rest)
            if entry is None:
                raise UnfitError(f"{scene.record} has no update {rest}")
            inputs = {"record": "<rec>", "table": self._record(scene).table, "values": entry["set"]}
            return [self._node("core.update_record", inputs, entry["say"], scene)]
        if head == "create":
            table, _, key = rest.partition(".")
            entry = self.bank.tables[table]["creates"][key]
            return self._create({"create": table, **entry}, scene)
        if act in ("note", "comment", "delete"):
            act = {"note": "core.add_work_note", "comment": "core.add_comment", "delete": "core.delete_record"}[act]
        return self._do({"do": act}, scene)

    def _weights(self, head: str) -> list[float]:
        return [3.0 if item["do"].startswith("core.") else 1.0 for item in self.bank.common[head]]

    def _do(self, act: dict[str, Any], scene: Scene) -> list[Node]:
        step = act["do"]
        entry = self.bank.steps.get(step, {})
        says = act.get("say") or entry.get("say")
        if not says:
            raise UnfitError(f"no wording for {step}")
        person = (
            self._person(act.get("who"), scene) or self._person(entry.get("who"), scene, strict=False) or self._default(scene)
        )
        inputs = {**entry.get("inputs", {}), **act.get("inputs", {})}
        node = self._node(step, inputs, says, replace(scene, person=person))
        node.record = self._object(step, entry.get("inputs", {}), act.get("inputs", {}), scene)
        return [node]

    def _object(self, step: str, usual: dict[str, Any], given: dict[str, Any], scene: Scene) -> Record | None:
        """Returns what "it" means in a step: the record at hand, unless another one is given in its place."""
        for name, value in usual.items():
            if not str(value).lstrip("['").startswith("<rec") or name not in given:
                continue
            found = _SLOT.search(str(given[name]))
            alias = scene.aliases.get(found.group(1).split(".")[0]) if found else None
            words = self.bank.tables.get(alias[2], {}) if alias else {}
            if alias and words and found and found.group(1).count(".") <= 1:
                return Record(alias[2], "", words["one"][-1 if len(words["one"]) < 2 else 1])
            return None
        ordered = scene.record is not None and scene.record.table == "requested_item"
        return None if ordered and not step.startswith(("core.", "request.")) else scene.record

    def _find(self, act: dict[str, Any], scene: Scene) -> list[Node]:
        table = act["find"]
        where, says = act.get("where"), act.get("say")
        if not where:
            entry = self._condition(table, act["when"])
            where = entry["where"]
            frames = (
                ("find {np}", "get {np}", "look up {np}")
                if entry.get("single")
                else ("take the first of the {np}", "get one of the {np}")
            )
            says = [frame.format(np=noun) for noun in entry["say"] for frame in frames]
        return [self._node("core.look_up_record", {"table": table, "conditions": where}, says or ["look it up"], scene)]

    def _condition(self, table: str, keys: list[str]) -> dict[str, Any]:
        conditions = self.bank.tables.get(table, {}).get("conditions", {})
        known = [key for key in keys if key in conditions]
        if not known:
            raise UnfitError(f"{table} has no condition {keys}")
        entry: dict[str, Any] = conditions[self.rng.choice(known)]
        return entry

    def _list(self, act: dict[str, Any], scene: Scene) -> list[Node]:
        table = act["list"]
        entry = act if "where" in act else self._condition(table, act["when"])
        node = self._node("core.look_up_records", {"table": table, "conditions": entry["where"]}, entry["say"], scene, "list")
        node.nouns = list(entry["say"])
        if "each" not in act:
            return [node]
        return [node, self._loop(node, f"@{node.uid}.records", table, act["each"], scene)]

    def _each(self, act: dict[str, Any], scene: Scene) -> list[Node]:
        uid = scene.aliases[act["each"]][0]
        return [
            self._loop(None, f"@{uid}.{'computers' if act['each'] == 'stale' else 'records'}", act["table"], act["do"], scene)
        ]

    def _loop(self, _: Node | None, ref: str, table: str, acts: list[Any], scene: Scene) -> Node:
        words = self.bank.tables.get(table, {})
        one, many = self.rng.choice(words.get("one", ["entry"])), self.rng.choice(words.get("many", ["entries"]))
        says = [text.format(one=one, many=many) for text in self.bank.common["each"]]
        node = self._node("core.for_each", {"records": "{{" + ref + "}}"}, says, scene, "each")
        record = Record(table, f"@{node.uid}.item", one)
        node.body = self.expand(acts, replace(scene, record=record, person=None))
        if not node.body:
            raise UnfitError("an empty loop")
        node.record = record
        return node

    def _until(self, act: dict[str, Any], scene: Scene) -> list[Node]:
        node = self._node("core.do_until", {"condition": "", "max_rounds": act["max"]}, act["say"], scene, "until")
        aliases: dict[str, tuple[int, str, str]] = dict(scene.aliases)
        node.body = self._inline(act["do"], replace(scene, aliases=aliases), aliases)
        node.inputs["condition"] = self._fill(act["until"], replace(scene, aliases=aliases))
        return [node]

    def _if(self, act: dict[str, Any], scene: Scene) -> list[Node]:
        node = self._branch("core.if", {"condition": act["if"]}, act["say"], act.get("then") or act.get("yes") or [], scene)
        if not node.body:
            raise UnfitError("an if without steps")
        nodes = [node]
        for case in act.get("elif", []):
            nodes.append(self._branch("core.else_if", {"condition": case["if"]}, case["say"], case["then"], scene))
        other = self._branch("core.else", {}, self._otherwise(act), act.get("else") or act.get("no") or [], scene)
        return [item for item in [*nodes, other] if item.body]

    def _branch(self, definition: str, inputs: dict[str, Any], says: list[str], acts: list[Any], scene: Scene) -> Node:
        node = self._node(definition, inputs, says, scene, "if" if inputs else "else")
        node.body = self.expand(acts, scene)
        return node

    def _otherwise(self, act: dict[str, Any]) -> list[str]:
        own = list(act.get("not", []))
        return own if own and self.rng.random() < 0.65 else own + list(self.bank.common["else"])[:4]

    def _approval(self, act: Any, after: list[Any], scene: Scene) -> list[Node]:
        if isinstance(act, dict):
            group = act["approve_group"]
            person: Person | None = Person((f"the {group}" if group.endswith(_BODIES) else group,), group)
            wording = {"inputs": {"record": "<rec>", "approver_group": group, "rule": "anyone"}}
        else:
            person = self._person(act.partition(":")[2], scene)
            wording = {"inputs": {"record": "<rec>", "approvers": "<who>", "rule": "anyone"}}
        entry = self.bank.steps["core.ask_for_approval"]
        ask = self._node(
            "core.ask_for_approval",
            wording["inputs"],
            act.get("say", entry["say"]) if isinstance(act, dict) else entry["say"],
            replace(scene, person=person),
        )
        if not after:
            return [ask]
        common = self.bank.common
        branch: dict[str, Any] = {"if": "{{@" + str(ask.uid) + ".result}} = approved", "say": common["approved"], "then": after}
        if self.rng.random() < 0.55:
            branch |= {"not": common["refused"], "else": [self.rng.choice(common["refused_do"])]}
        return [ask, *self._if(branch, scene)]

    def _create(self, act: dict[str, Any], scene: Scene) -> list[Node]:
        inputs = {"table": act["create"], "values": act["values"]}
        return [self._node("core.create_record", inputs, act["say"], scene)]

    def _create_task(self, act: dict[str, Any], scene: Scene) -> list[Node]:
        inputs: dict[str, Any] = {"table": act["create_task"], "values": act["values"]}
        if scene.record is not None and self.rng.random() < 0.5:
            inputs["parent"] = "<rec>"
        return [self._node("core.create_task", inputs, act["say"], scene)]

    def bulk(self, table: str, condition: dict[str, Any], update: dict[str, Any] | None) -> list[Node]:
        """Changes (or deletes) all records of a condition in one step."""
        common, scene = self.bank.common, Scene(None, None)
        inputs: dict[str, Any] = {"table": table, "conditions": condition["where"]}
        if update is None:
            says = [frame.format(np=noun) for noun in condition["say"] for frame in common["purge"]]
            return [self._node("core.delete_records", inputs, says, scene)]
        verbs = [pronouned(choose(text.replace("<it>", "it"), self.rng)) for text in update["say"] if not text.startswith("~")]
        says = [frame.format(np=noun, vp=verb) for noun in condition["say"] for verb in verbs for frame in common["bulk"]]
        return [self._node("core.update_records", {**inputs, "values": update["set"]}, says, scene)]

    def _person(self, who: Any, scene: Scene, *, strict: bool = True) -> Person | None:
        if who is None:
            return None
        if isinstance(who, dict):
            return Person(tuple(who["say"]), str(self._fill(who["value"], scene)).strip("{}"))
        if scene.record is None and not strict:
            return None
        record = self._record(scene)
        words = self.bank.tables.get(record.table, {})
        named = {**words.get("people", {}), **words.get("groups", {})}.get(who)
        if named is None and not strict:
            return None
        return Person(tuple(named or [f"the {who.split('.')[-1].replace('_', ' ')}"]), f"{record.ref}.{who}")

    def _default(self, scene: Scene) -> Person | None:
        if scene.person is not None or scene.record is None:
            return scene.person
        if scene.record.table == "user":
            return Person((f"the {scene.record.noun}",), scene.record.ref)
        people = list(self.bank.tables.get(scene.record.table, {}).get("people", {}))
        return self._person(people[0], scene) if people else None

    def _record(self, scene: Scene) -> Record:
        if scene.record is None:
            raise UnfitError("no record at hand")
        return scene.record

    def _table(self, scene: Scene) -> dict[str, Any]:
        entry: dict[str, Any] = self.bank.tables.get(self._record(scene).table, {})
        return entry

    def _node(self, definition: str, inputs: dict[str, Any], says: list[str], scene: Scene, kind: str = "act") -> Node:
        if any("<who>" in str(text) for text in says) and scene.person is None:
            says = [text for text in says if "<who>" not in str(text)]
            if not says:
                raise UnfitError(f"{definition}: nobody at hand")
        filled = {key: self._fill(value, scene) for key, value in inputs.items()}
        node = Node(next(self._uids), definition, filled, [str(text) for text in says], kind, scene.record, scene.person)
        if definition not in _LOGIC:
            self._last = node.uid
        return node

    def _fill(self, value: Any, scene: Scene) -> Any:
        if isinstance(value, dict):
            return {key: self._fill(item, scene) for key, item in value.items()}
        if isinstance(value, list):
            return [self._fill(item, scene) for item in value]
        return _SLOT.sub(lambda match: self._slot(match.group(1), scene), value) if isinstance(value, str) else value

    def _slot(self, path: str, scene: Scene) -> str:
        if path == "name" and scene.record is None:
            return "Result of the run"
        return "{{" + self._path(path, scene) + "}}"

    def _path(self, path: str, scene: Scene) -> str:
        root, _, rest = path.partition(".")
        tail = f".{rest}" if rest else ""
        if root == "name":
            record = self._record(scene)
            return f"{record.ref}.{self.bank.tables.get(record.table, {}).get('name', 'name')}"
        if root in ("rec", "top"):
            found = scene.record if root == "rec" else scene.top
            if found is None and not self._last:
                raise UnfitError(f"no {root}")
            return found.ref + tail if found is not None else f"@{self._last}.record{tail}"
        if root == "who":
            if scene.person is None:
                raise UnfitError("nobody at hand")
            return scene.person.ref + tail
        uid, kind, _ = scene.aliases.get(root, (self._last, "output", ""))
        if not uid:
            raise UnfitError(f"nothing to take {path} from")
        if kind == "record" and rest.split(".")[0] not in ("record", "records", "count"):
            tail = ".record" + tail
        return f"@{uid}{tail}"
