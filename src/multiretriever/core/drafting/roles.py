"""Which steps of a catalog do the general things: loops, branches, waiting, and reading and writing records.

They are known by the types of their inputs and by the words of their titles and descriptions, never by their ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from multiretriever.core.catalog import Catalog
from multiretriever.core.drafting.words import Action, is_plural, stem, words_of
from multiretriever.core.elements import Step

_VERBS: dict[str, str] = {
    "find": "look find get search fetch list query read select retrieve load lookup",
    "count": "count tally number how",
    "create": "create insert add new make open register",
    "update": "update change modify set edit write patch",
    "delete": "delete remove purge erase drop",
}
_STEMS = {action: frozenset(map(stem, words.split())) for action, words in _VERBS.items()}
_RECORDS = frozenset(map(stem, "record row entry item object document".split()))
_LISTS = ("records", "list", "array", "collection")
_ANY = frozenset({"table", "conditions", "values", "record", "records"})


def types_of(step: Step) -> frozenset[str]:
    """Returns the types of the inputs of a step."""
    return frozenset(item.type for item in step.inputs)


@dataclass(frozen=True)
class Roles:
    """The general steps of a catalog.

    Attributes:
        catalog: The catalog.
    """

    catalog: Catalog

    @cached_property
    def verbs(self) -> frozenset[str]:
        """The words that the titles of its actions start with."""
        titles = (words_of(step.title) for step in self._of("action"))
        return frozenset(words[0] for words in titles if len(words) > 1 and words[0].isalpha() and not is_plural(words[0]))

    @cached_property
    def records(self) -> dict[Action, tuple[Step, ...]]:
        """Steps that do something to the records of any table, best first."""
        return {
            "find": self._writing("find", {"table", "conditions"}, without={"values", "record", "records"}),
            "count": self._writing("count", {"table", "conditions"}, without={"values", "record", "records"}),
            "create": self._writing("create", {"table", "values"}, without={"conditions", "records"}),
            "update": self._writing("update", {"values"}, {"record"}, {"conditions"}),
            "delete": self._writing("delete", set(), {"record", "conditions"}, {"values"}, named=True),
        }

    @cached_property
    def loop(self) -> Step | None:
        """The step that repeats others for each record of a list."""
        return self._logic("each loop iterate every foreach repeat", lambda step: bool(types_of(step) & set(_LISTS)))

    @cached_property
    def branch(self) -> Step | None:
        """The step that does others only when a condition holds."""
        others = (self.otherwise, self.also)
        return self._logic("if condition branch decision decide when switch check", lambda step: bool(step.inputs), others)

    @cached_property
    def otherwise(self) -> Step | None:
        """The step whose block is done when the condition before it does not hold."""
        return self._logic("else otherwise", lambda step: not any(item.required for item in step.inputs), needed=True)

    @cached_property
    def also(self) -> Step | None:
        """The step that tries another condition."""
        return self._logic("elseif else elif", lambda step: any(item.required for item in step.inputs), needed=True)

    @cached_property
    def wait(self) -> Step | None:
        """The step that waits for a span of time."""
        return self._logic(
            "wait sleep delay pause timer hold", lambda step: "duration" in types_of(step) and "record" not in types_of(step)
        )

    @cached_property
    def stop(self) -> Step | None:
        """The step that ends the flow."""
        return self._logic("end stop terminate finish exit quit abort", lambda step: "loop" not in words_of(step.title))

    @cached_property
    def skip(self) -> Step | None:
        """The step that goes on with the next record of a loop."""
        return self._logic("skip continue next", lambda step: not any(item.required for item in step.inputs))

    def record_steps(self, action: Action, *, single: bool) -> tuple[Step, ...]:
        """Returns the general steps for an action on records, those for one record or for many first."""
        return tuple(sorted(self.records.get(action, ()), key=lambda step: is_for_many(step) == single))

    def _of(self, kind: str) -> list[Step]:
        return [step for step in self.catalog.of("step") if step.kind == kind]

    def _writing(
        self, action: str, types: set[str], some: Iterable[str] = (), without: Iterable[str] = (), *, named: bool = False
    ) -> tuple[Step, ...]:
        found = []
        for place, step in enumerate(self._of("action")):
            has, some_of = types_of(step), set(some)
            if not types <= has or has & set(without) or (some_of and not has & some_of):
                continue
            words = [stem(word) for word in words_of(step.title)]
            if named and not set(words) & _RECORDS:
                continue
            if words and words[0] in _STEMS[action]:
                # Beside the general step there can be one for a kind of table, such as tasks.
                found.append((not set(words) & _RECORDS, len(words), place, step))
        return tuple(step for *_, step in sorted(found, key=lambda item: item[:3]))

    def _logic(
        self, words: str, fits: Callable[[Step], bool], others: Iterable[Step | None] = (), *, needed: bool = False
    ) -> Step | None:
        wanted = words.split()
        left_out = {step.id for step in others if step is not None}
        found = []
        for place, step in enumerate(self._of("logic")):
            title = words_of(step.title)
            named = min((wanted.index(word) for word in title if word in wanted), default=len(wanted))
            described = bool(set(words_of(step.description)) & set(wanted)) and not needed
            if step.id in left_out or not fits(step) or (named == len(wanted) and not described):
                continue
            found.append((named, len(title), place, step))
        return min(found, key=lambda item: item[:3])[3] if found else None


def is_for_many(step: Step) -> bool:
    """Tells whether a step gives or changes many records: its title ends in a plural or speaks of many."""
    words = words_of(step.title)
    return bool(words) and (is_plural(words[-1]) or bool({"all", "many", "multiple", "bulk", "list"} & set(words)))


def is_general(step: Step) -> bool:
    """Tells whether a step works on the records of any table."""
    has = types_of(step)
    return "table" in has or ("values" in has and "record" in has)
