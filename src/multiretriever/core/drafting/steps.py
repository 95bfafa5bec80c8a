"""Which action of the catalog a clause asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from multiretriever.core.catalog import Catalog
from multiretriever.core.drafting.outline import Clause
from multiretriever.core.drafting.roles import Roles, is_for_many, is_general
from multiretriever.core.drafting.triggers import relative, scope_said
from multiretriever.core.drafting.words import Action, brief, stem, stems_of
from multiretriever.core.elements import Step, Table
from multiretriever.core.names import split_words
from multiretriever.core.retriever import MultiRetriever

_HITS = 30
# A whole requirement is read in so many parts of so many words at most.
_PARTS, _PART = 4, 60
# What counts beside the score of retrieval: the share of the whole requirement's own score; words of the clause that name the
# scope, the step's verb or its title; that the clause is about records of a table that it names; a step named after all of it.
_WHOLE, _SCOPE, _VERB, _TITLE, _GENERAL, _NAMED, _STEP_NAME = 0.3, 0.12, 0.03, 0.1, 0.15, 0.08, 0.25


@dataclass
class Steps:
    """Finds actions.

    Attributes:
        retriever: Retriever over an index with steps.
        catalog: Its catalog.
        roles: Its general steps.
    """

    retriever: MultiRetriever
    catalog: Catalog
    roles: Roles
    _scores: dict[str, dict[str, float]] = field(default_factory=dict)
    _whole: dict[str, float] = field(default_factory=dict)

    def read(self, requirement: str) -> None:
        """Retrieves for a whole requirement: what fits it is preferred among the steps that fit a clause."""
        words = requirement.split()
        parts = [brief(" ".join(words[start : start + _PART])) for start in range(0, len(words), _PART)][:_PARTS]
        for hits in self.retriever.retrieve_batch(parts, "step", k=_HITS, where={"kind": "action"}):
            for name, score in relative(hits).items():
                self._whole[name] = max(score, self._whole.get(name, 0.0))

    def look_up(self, texts: Sequence[str]) -> None:
        """Retrieves for all texts in one pass."""
        wanted = [text for text in dict.fromkeys(texts) if text.strip() and text not in self._scores]
        if wanted:
            texts = [brief(text) for text in wanted]
            found = self.retriever.retrieve_batch(
                texts, "step", k=_HITS, where={"kind": "action"}, context={"text": "annotation"}
            )
            self._scores.update({text: relative(hits) for text, hits in zip(wanted, found, strict=True)})

    def best(self, clause: Clause, words: str, table: Table | None, *, single: bool, named: bool) -> Step | None:
        """Returns the action that fits a clause best; None where there is none.

        Args:
            clause: The clause.
            words: What was retrieved for it.
            table: The table that it works on, if any.
            single: Whether it is about one record.
            named: Whether it names the table, or speaks of records of it that are at hand.
        """
        self.look_up([words])
        scores = {name: score + _WHOLE * self._whole.get(name, 0.0) for name, score in self._scores.get(words, {}).items()}
        floor, top = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
        general = self._general(clause.action, single) if table is not None else []
        for place, step in enumerate(general):
            own = scores.get(step.id, floor)
            scores[step.id] = own if place else max(own + _GENERAL, top + _NAMED if named else 0.0)
        known = {step.id: step for step in self.catalog.of("step")}
        ranked = [(score + self._bonus(known[name], clause, table), name) for name, score in scores.items() if name in known]
        if not ranked:
            return None
        found: Step = known[max(ranked)[1]]
        return found

    def _general(self, action: Action, single: bool) -> list[Step]:
        found = list(self.roles.record_steps(action, single=single))
        return [step for step in found if is_for_many(step) != single] or found

    def _bonus(self, step: Step, clause: Clause, table: Table | None) -> float:
        said = set(stems_of(clause.text))
        title = [stem(word) for word in split_words(step.title).lower().split() if len(word) > 2]
        bonus = _SCOPE * scope_said(step, clause.text)
        bonus += _VERB * (bool(title) and title[0] in said)
        share = sum(word in said for word in title) / len(title) if title else 0.0
        bonus += _TITLE * share * share
        things = set(stems_of(table.title)) if table is not None else set()
        if (
            not is_general(step)
            and clause.verb
            and title
            and title[0] == stem(clause.verb.split()[0])
            and things
            and things <= set(title)
        ):
            # A special step that is named after just what the clause says is better than the general one.
            bonus += _STEP_NAME
        return bonus
