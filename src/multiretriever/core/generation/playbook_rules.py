"""Drafting a playbook without any language model: stages in the words of the requirement, and retrieval for each.

What is retrieved goes into a stage as far as its score comes near to the best one of the stage, unless even that is far below the
best one of the whole playbook. So rules cannot tell what a stage needs that its words do not say, nor which of two similar forms
is right; a stage for which nothing comes near enough stays empty and says so.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from multiretriever.core.generation.playbook import PlaybookMaker, planned_stage
from multiretriever.core.generation.playbook_faults import mend_outline
from multiretriever.core.generation.playbook_parts import PlannedStage, PlaybookOutline, PlaybookPlan, StageIdea, WrittenStage
from multiretriever.core.generation.playbook_stages import take_apart
from multiretriever.core.playbooks import ELEMENT_TYPES, Activity, ActivityKind, Stage
from multiretriever.core.query import MAX_QUERY
from multiretriever.core.retriever import Hit

# Chosen on every second requirement of examples/playbook_generation/measured.yaml; its README has the numbers of the others.
OF_STAGE = 0.75
OF_PLAYBOOK = 0.55
MOST = 2

Scored = tuple[ActivityKind, str, float]


class PlaybookRules(PlaybookMaker):
    """Makes playbooks by rules, for requirements in English."""

    # All stages of a plan are scored together, since each is chosen in view of the others.
    _last: tuple[PlaybookPlan, list[list[Scored]]] | None = None

    def plan(self, requirement: str) -> PlaybookPlan:
        """Takes the requirement apart; see ``PlaybookMaker.plan``."""
        self.candidates.check(requirement)
        parts = take_apart(requirement)
        ideas = [StageIdea(name=_unlike(item.name, place, parts.stages), purpose=item.purpose)
                 for place, item in enumerate(parts.stages)]  # fmt: skip
        return mend_outline(requirement, PlaybookOutline(label=parts.title or ideas[0].name, stages=ideas))

    def stage(self, plan: PlaybookPlan, number: int, taken: Collection[str] = ()) -> WrittenStage:
        """Retrieves for the stage; see ``PlaybookMaker.stage``. What fits another stage better is left to that one."""
        planned = planned_stage(plan, number)
        scored = self._scored_once(plan)
        best = max((score for found in scored for _, _, score in found), default=0.0)
        owner = _owners(scored, best)
        chosen = [
            (kind, name)
            for kind, name, _ in _near(scored[number - 1], best)
            if owner[kind, name] == number - 1 and name not in taken
        ]
        activities = tuple(Activity(kind=kind, id=name) for kind, name in chosen)
        missing = "" if activities else f"nothing in the catalog comes near enough to: {planned.purpose or planned.name}"
        stage = Stage(name=planned.name, purpose=planned.purpose, activities=activities, missing=missing)
        return WrittenStage(number=number, stage=stage)

    def _scored_once(self, plan: PlaybookPlan) -> list[list[Scored]]:
        held = self._last
        if held is None or held[0] != plan:
            held = self._last = (plan, self._scored(plan))
        return held[1]

    def _scored(self, plan: PlaybookPlan) -> list[list[Scored]]:
        """Returns kind, id and score of what is retrieved for each stage, best first."""
        queries = [_query(plan, stage) for stage in plan.stages]
        found: list[list[Scored]] = [[] for _ in queries]
        for kind, element_type in ELEMENT_TYPES.items():
            if element_type in self.candidates.types:
                hits = self.retriever.retrieve_batch(queries, element_type, k=MOST)
                for place, items in enumerate(hits):
                    found[place] += _scores(kind, items)
        return [sorted(items, key=lambda item: -item[2]) for items in found]


def _unlike(name: str, place: int, stages: Any) -> str:
    before = sum(item.name.lower() == name.lower() for item in stages[:place])
    return f"{name} ({before + 1})" if before else name


def _query(plan: PlaybookPlan, stage: PlannedStage) -> str:
    # The title tells what "it" and "them" in a stage are.
    words = stage.purpose or stage.name
    title = "" if plan.label == plan.stages[0].name else f"{plan.label}: "
    return f"{title}{words}"[:MAX_QUERY]


def _scores(kind: ActivityKind, hits: list[Hit]) -> list[Scored]:
    return [(kind, hit.id, hit.score) for hit in hits if hit.score > 0]


def _near(found: list[Scored], best: float) -> list[Scored]:
    """Returns what comes near to the best of the stage, where that comes near to the best of the playbook."""
    limit = max(OF_STAGE * found[0][2], OF_PLAYBOOK * best) if found else 0.0
    return [item for item in found if item[2] >= limit]


def _owners(scored: list[list[Scored]], best: float) -> dict[tuple[ActivityKind, str], int]:
    """Returns for each element the place of the stage that it fits best; of equals, the first."""
    owner: dict[tuple[ActivityKind, str], tuple[float, int]] = {}
    for place, found in enumerate(scored):
        for kind, name, score in _near(found, best):
            if score > owner.get((kind, name), (0.0, 0))[0]:
                owner[kind, name] = (score, place)
    return {key: place for key, (_, place) in owner.items()}
