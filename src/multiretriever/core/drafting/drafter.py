"""Making the steps of a flow of the clauses of a requirement, one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from multiretriever.core.catalog import Catalog
from multiretriever.core.drafting.fields import Fields
from multiretriever.core.drafting.inputs import Given, fill
from multiretriever.core.drafting.outline import Clause, Outline
from multiretriever.core.drafting.roles import Roles, is_for_many, types_of
from multiretriever.core.drafting.steps import Steps
from multiretriever.core.drafting.tables import Tables
from multiretriever.core.drafting.triggers import Triggers, time_of
from multiretriever.core.drafting.values import values_of
from multiretriever.core.drafting.words import is_plural, stems_of, words_of
from multiretriever.core.elements import Step, Table
from multiretriever.core.flows import FlowStep, Trigger
from multiretriever.core.retriever import MultiRetriever

_HEAD_END = re.compile(
    r"\b(?:that|which|who|whose|with|without|w/o|of|for|from|in|on|at|by|to|older|not|still|due|nobody|where|having|is|are|"
    r"was|were|has|have|no|than|and|or)\b|[,:(]",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"\b(?:list|summary|report|export|csv|result|overview|how many|number of|count|total|all of them|spreadsheet)\b",
    re.IGNORECASE,
)
_LOOSE = frozenset({"get", "take", "check", "review", "process", "handle", "show", "see", "consider", "read", "work"})
_SHORT = 3
_HEAD = 6
_SUBORDINATE = re.compile(
    r"(?:if|when|where|whenever|once|as soon as|unless|in case|provided|on|with|for|while|"
    r"should)\b",
    re.IGNORECASE,
)
_STOPS = re.compile(
    r"(?:stop|end|quit|abort|finish)(?: here| there| it| the flow| this| everything| all| looking(?: further)?)*|do nothing.*|"
    r"leave (?:it|that one)(?: out| be)?|(?:skip|ignore)(?: it| them| this one| that one| those| the rest)?",
    re.IGNORECASE,
)
_SUFFERED = re.compile(
    r"(?<!\bthat)(?<!\bwhich)(?<!\bwho)\s+(?:gets?|should|must|shall|have to|needs? to|will|are to be|are)\s+(?:be\s+)?(?=\w{3,})"
    r"(?!not\b|still\b|no\b|older\b|due\b|open\b|over)",
    re.IGNORECASE,
)


def head_of(text: str) -> str:
    """Returns the words of a text before those that describe its first noun further: "old tickets" of "old tickets of a user"."""
    match = _HEAD_END.search(text)
    return text[: match.start()].strip() if match else text.strip()


def speaks_of_many(text: str) -> bool:
    """Tells whether the first noun of a text is a plural."""
    words = words_of(head_of(text))[:_HEAD]
    return bool(words) and (any(map(is_plural, words)) or words[0] in ("all", "every", "each", "any", "those"))


@dataclass
class Drafter:
    """Drafts the steps of one flow.

    Attributes:
        retriever: Retriever over an index with steps, and tables and fields where there are any.
        catalog: Its catalog.
        drafted: What was drafted so far.
    """

    retriever: MultiRetriever
    catalog: Catalog
    drafted: list[FlowStep] = field(default_factory=list)
    # The table that "them" and "it" speak of, the step that gave the list that is at hand, and the record at hand.
    _table: Table | None = None
    _source: FlowStep | None = None
    _record: str = "{{trigger.record}}"
    _timed: bool = True
    # Orders of the blocks that are open; what the last condition was; and whether an approval is waited for.
    _loop: int = 0
    _each: str = ""
    _branch: int = 0
    _last_branch: int = 0
    _condition: str = ""
    _asked: bool = False

    def __post_init__(self) -> None:
        self.roles = Roles(self.catalog)
        self._tables = Tables(self.retriever, self.catalog)
        self._fields = Fields(self.retriever, self.catalog)
        self._steps = Steps(self.retriever, self.catalog, self.roles)
        self._triggers = Triggers(self.retriever, self.catalog, self._tables)

    def prepare(self, requirement: str, plan: Outline) -> None:
        """Retrieves what most of the clauses need, in one pass for each type."""
        if len(plan.clauses) > 1:
            self._steps.read(requirement)
        self._steps.look_up([clause.text for clause in plan.clauses if clause.action not in ("wait",)])
        objects = [
            clause.object for clause in plan.clauses if clause.action in ("find", "count", "create", "delete") or not clause.verb
        ]
        self._tables.find([text for text in objects if text])

    def trigger(self, words: str) -> Trigger | None:
        """Returns the trigger that words mean; None where the catalog has none."""
        step = self._triggers.find(words)
        self._timed = bool(time_of(words))
        if step is None:
            return None
        table = (
            self._tables.of(words) if "table" in types_of(step) else self._tables.mentioned(words) if not self._timed else None
        )
        if "table" in types_of(step):
            self._timed = False
        self._table = table
        return Trigger(annotation=words, definition=step.id, inputs=fill(step, Given(Clause(words), table), self._fields))

    def add(self, clause: Clause) -> Iterator[FlowStep]:
        """Gives the steps of a clause."""
        before = len(self.drafted)
        if clause.each and clause.each != self._each:
            self._each = clause.each
            self._for_each(clause.each)
        self._blocks(clause)
        if clause.text:
            self._do(clause)
        yield from self.drafted[before:]

    def _for_each(self, words: str) -> None:
        named = self._tables.mentioned(words)
        at_hand = self._source is not None and (
            named is None or self._table is None or named.id == self._table.id or not self._loop
        )
        if not at_hand and (named is not None or self._source is None):
            said = re.sub(
                r"^(?:then |and )*(?:do this )?(?:for |with |on )?(?:each|every|all|any)(?: of)?(?: the)? ?",
                "",
                words,
                flags=re.IGNORECASE,
            )
            if speaks_of_many(said) or named is not None:
                self._find(Clause(said or words, action="find"), single=False)
        self._open_loop(words)

    def _blocks(self, clause: Clause) -> None:
        if clause.otherwise:
            if clause.otherwise != self._condition:
                self._condition, self._asked = clause.otherwise, False
                self._open_otherwise(clause.otherwise)
        elif clause.condition != self._condition:
            self._condition, self._branch, self._asked = clause.condition, 0, False
            if clause.condition:
                self._open_branch(clause.condition)
        elif self._asked and clause.action != "stop":
            # What follows an approval is done only when it is given.
            self._asked = False
            self._open_branch("approved")

    def _open_branch(self, words: str) -> None:
        step = self.roles.branch
        if step is None:
            return
        self._branch = 0
        said = words if _SUBORDINATE.match(words) else f"if {words}"
        self._append(
            said, step, {item.name: words for item in step.inputs if item.required and item.type not in ("records", "table")}
        )
        self._branch = self._last_branch = len(self.drafted)

    def _open_otherwise(self, words: str) -> None:
        step = self.roles.otherwise
        if step is None or not self._last_branch:
            self._open_branch(words)
            return
        block = self.drafted[self._last_branch - 1].block
        self._append(words, step, fill(step, Given(Clause(words)), self._fields), block)
        self._branch = len(self.drafted)

    def _open_loop(self, words: str) -> None:
        step = self.roles.loop
        if step is None or self._source is None:
            return
        self._loop = self._branch = 0
        records = f"{{{{{self._source.order}.records}}}}"
        self._append(words, step, fill(step, Given(Clause(words), self._table, records=records), self._fields))
        self._loop = len(self.drafted)
        self._record = f"{{{{{self._loop}.item}}}}"

    def _do(self, clause: Clause) -> None:
        if clause.action == "wait" and (step := self.roles.wait) is not None:
            self._append(clause.text, step, fill(step, Given(clause, self._table), self._fields))
        elif clause.action == "stop" and _STOPS.fullmatch(clause.text) and (step := self._stop(clause)) is not None:
            self._append(clause.text, step, fill(step, Given(clause), self._fields))
        elif self._finds(clause):
            match = _SUFFERED.search(clause.text) if not clause.verb else None
            found = clause if match is None else replace(clause, text=clause.text[: match.start()])
            self._find(found, single=not speaks_of_many(found.object))
            if match is not None:
                self._act(replace(clause, text=clause.text[match.end() :].strip(" ,")))
        else:
            self._act(self._changed(clause))

    def _stop(self, clause: Clause) -> Step | None:
        skips = clause.verb in ("skip", "ignore", "leave it")
        return (self.roles.skip if skips and self._loop else None) or self.roles.stop

    def _finds(self, clause: Clause) -> bool:
        """Tells whether a clause is about getting records: it says so, or names many where none are at hand yet."""
        if clause.action == "find":
            return True
        first = self._timed and self._source is None and not self._branch
        return first and (not clause.verb or clause.verb in _LOOSE) and speaks_of_many(clause.object)

    def _find(self, clause: Clause, *, single: bool) -> None:
        table = self._tables.of(clause.object or clause.text) or self._table
        clause = replace(clause, action="find")
        named = clause.verb == "" or (table is not None and self._tables.mentioned(clause.text) is not None) or not single
        step = self._steps.best(clause, clause.text, table, single=single, named=named)
        if step is None:
            return
        given = Given(clause, table, self._record, self._list())
        self._append(clause.text, step, fill(step, given, self._fields))
        self._note(step, table, single)

    def _note(self, step: Step, table: Table | None, single: bool) -> None:
        """Notes what a step that gets records has brought to hand."""
        if step.id not in {item.id for item in self.roles.records["find"]}:
            return
        self._table, self._loop, self._each = table, 0, ""
        many = is_for_many(step) or not single
        self._source = self.drafted[-1] if many else None
        self._record = self._record if many else f"{{{{{len(self.drafted)}.record}}}}"

    def _changed(self, clause: Clause) -> Clause:
        """Returns a clause that brings the record at hand to another state as an update: "on hold", "raise it to high"."""
        loose = not clause.verb or (
            clause.action == "create" and re.match(rf"{re.escape(clause.verb)} (?:it|them)\b", clause.text, re.IGNORECASE)
        )
        if not loose or self._table is None:
            return clause
        values = values_of(replace(clause, action="update"), self._table, self._fields)
        return replace(clause, action="update") if values else clause

    def _act(self, clause: Clause) -> None:
        table = self._table_of(clause)
        if self._implied(clause):
            self._find(Clause(clause.object, action="find"), single=False)
            table = self._table
        words = clause.text
        if clause.refers and table is not None and len(words.split()) <= _SHORT and clause.verb:
            words = f"{clause.verb} {' '.join(words_of(table.title))}"
        single = self._source is None or clause.refers or bool(self._loop) or self._timed
        step = self._steps.best(clause, words, table, single=single, named=self._named(clause, table))
        if step is None:
            return
        if self._source is not None and not self._loop and not self._takes_all(clause, step):
            title = " ".join(words_of(self._table.title)) if self._table is not None else "record"
            self._open_loop(f"for each {title} found")
        self._append(clause.text, step, fill(step, Given(clause, table, self._record, self._list()), self._fields))
        self._note(step, table, single=False)
        self._asked = any(word.startswith("approv") for word in stems_of(step.title))

    def _table_of(self, clause: Clause) -> Table | None:
        if clause.action == "create":
            return self._tables.of(clause.object or clause.text)
        named = self._tables.mentioned(clause.text)
        if self._table is None and clause.action in ("update", "delete", "count"):
            return self._tables.of(clause.object or clause.text)
        if named is not None and (clause.action == "count" or (not clause.refers and len(words_of(named.title)) > 1)):
            return named
        return self._table or named

    def _named(self, clause: Clause, table: Table | None) -> bool:
        if table is None or clause.action not in ("create", "update", "delete", "count"):
            return False
        mentioned = self._tables.mentioned(clause.text)
        if clause.action == "update":
            return clause.refers or bool(values_of(clause, table, self._fields))
        return clause.refers or (mentioned is not None and mentioned.id == table.id)

    def _implied(self, clause: Clause) -> bool:
        """Tells whether something is done to many records that no clause has got: "close old tickets", "remind owners of X"."""
        if not self._timed or self._source is not None or self._branch or clause.action in ("create", "count", "wait", "stop"):
            return False
        return bool(clause.verb) and speaks_of_many(clause.object) and self._tables.mentioned(clause.object) is not None

    def _takes_all(self, clause: Clause, step: Step) -> bool:
        takes = types_of(step)
        return (
            bool({"records", "list", "array"} & takes)
            or is_for_many(step)
            or bool(_WHOLE.search(clause.text))
            or clause.action == "count"
        )

    def _list(self) -> str:
        return f"{{{{{self._source.order}.records}}}}" if self._source is not None else ""

    def _append(self, annotation: str, step: Step, inputs: dict[str, Any], block: int | None = None) -> None:
        order = len(self.drafted) + 1
        place = (self._branch or self._loop) if block is None else block
        self.drafted.append(FlowStep(annotation=annotation, definition=step.id, order=order, block=place, inputs=inputs))
