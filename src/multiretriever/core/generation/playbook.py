"""Making a playbook: an outline of stages first, then the activities of each stage, then the whole, checked.

The two levels are those of flow generation (Béchard and Ayala, arXiv 2404.08189). Whoever makes a playbook, a chat model
(``playbook_writer``) or rules (``playbook_rules``), does it in the same steps: ``plan``, ``stage`` for each stage, ``finish``.
Graphs and workflows call them one by one.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable

from multiretriever.core.catalog import Catalog
from multiretriever.core.errors import ParameterError
from multiretriever.core.generation.playbook_candidates import CANDIDATES, PlaybookCandidates
from multiretriever.core.generation.playbook_parts import PlannedStage, PlaybookPlan, WrittenPlaybook, WrittenStage
from multiretriever.core.playbooks import Playbook, Stage
from multiretriever.core.retriever import MultiRetriever
from multiretriever.grounding.flow_check import Change
from multiretriever.grounding.playbook_check import check_playbook

Progress = Callable[[str], None]


class PlaybookMaker(ABC):
    """Makes playbooks. Holds no state of a playbook: one object makes many at once."""

    def __init__(self, retriever: MultiRetriever, *, catalog: Catalog | None = None, k: int = CANDIDATES) -> None:
        """Makes it.

        Args:
            retriever: Retriever over an index with workflows, catalog items, or both.
            catalog: The catalog of the index; None to read it back from there.
            k: Candidates of each type at most.

        Raises:
            ParameterError: The index has neither workflows nor catalog items, or ``k`` is below 1.
            StoreError: The index cannot be read.
        """
        self.candidates = PlaybookCandidates(retriever, k=k)
        self.catalog = catalog or retriever.index.catalog()
        self.retriever = retriever

    @abstractmethod
    def plan(self, requirement: str) -> PlaybookPlan:
        """Returns the stages of the playbook for a requirement, without activities.

        Raises:
            QueryError: The requirement is empty, not text, or too long.
            LLMError: A chat model cannot be reached, or none of its answers was an outline.
            StoreError: The index cannot be read.
        """

    @abstractmethod
    def stage(self, plan: PlaybookPlan, number: int, taken: Collection[str] = ()) -> WrittenStage:
        """Returns a stage with its activities, all of which exist.

        Args:
            plan: The plan.
            number: Number of the stage, from 1.
            taken: Ids that stand in other stages already. Stages can also be made side by side, without: ``finish`` leaves
                out what stands twice.

        Raises:
            LLMError: A chat model cannot be reached.
            StoreError: The index cannot be read.
        """

    async def aplan(self, requirement: str) -> PlaybookPlan:
        """Does ``plan`` without holding up the event loop."""
        return await asyncio.to_thread(self.plan, requirement)

    async def astage(self, plan: PlaybookPlan, number: int, taken: Collection[str] = ()) -> WrittenStage:
        """Does ``stage`` without holding up the event loop."""
        return await asyncio.to_thread(self.stage, plan, number, taken)

    def finish(self, plan: PlaybookPlan, stages: Iterable[WrittenStage]) -> WrittenPlaybook:
        """Returns the playbook of a plan and its stages, in any order, checked. No id in it is made up, and none stands twice.

        A stage that was not made stands in it without activities.
        """
        written = {item.number: item for item in stages}
        changes = [*plan.changes]
        seen: set[str] = set()
        done: list[Stage] = []
        for number, planned in enumerate(plan.stages, start=1):
            item = written.get(number) or WrittenStage(number=number, stage=Stage(name=planned.name, purpose=planned.purpose))
            ids = {activity.id for activity in item.stage.activities}
            changes += [*item.changes, *(Change(f"stage {number}", "second place for", name, "") for name in sorted(ids & seen))]
            kept = tuple(activity for activity in item.stage.activities if activity.id not in seen)
            missing = item.stage.missing or ("what fits stands in an earlier stage already" if ids and not kept else "")
            done.append(item.stage.model_copy(update={"activities": kept, "missing": missing}))
            seen |= ids
        playbook = Playbook(
            name=_slug(plan.label),
            label=plan.label,
            requirement=plan.requirement,
            description=plan.description,
            stages=tuple(done),
        )
        return WrittenPlaybook(playbook, check_playbook(playbook, self.catalog), tuple(changes))

    def make(self, requirement: str, *, on_progress: Progress = lambda line: None) -> WrittenPlaybook:
        """Makes a playbook from first to last.

        Args:
            requirement: What is asked for.
            on_progress: Called with a line for the outline and for each stage.

        Raises:
            QueryError, LLMError, StoreError: See ``plan`` and ``stage``.
        """
        plan = self.plan(requirement)
        on_progress(f"{len(plan.stages)} stages")
        stages: list[WrittenStage] = []
        for number in range(1, len(plan.stages) + 1):
            stages.append(self.stage(plan, number, ids_of(stages)))
            on_progress(stages[-1].progress)
        return self.finish(plan, stages)

    async def amake(self, requirement: str, *, on_progress: Progress = lambda line: None) -> WrittenPlaybook:
        """Does ``make`` without holding up the event loop."""
        plan = await self.aplan(requirement)
        on_progress(f"{len(plan.stages)} stages")
        stages: list[WrittenStage] = []
        for number in range(1, len(plan.stages) + 1):
            stages.append(await self.astage(plan, number, ids_of(stages)))
            on_progress(stages[-1].progress)
        return self.finish(plan, stages)


def ids_of(stages: Iterable[WrittenStage]) -> tuple[str, ...]:
    """Returns the ids of all activities of stages."""
    return tuple(activity.id for item in stages for activity in item.stage.activities)


def planned_stage(plan: PlaybookPlan, number: int) -> PlannedStage:
    """Returns a stage of a plan by its number.

    Raises:
        ParameterError: There is no such stage.
    """
    if not 1 <= number <= len(plan.stages):
        raise ParameterError(f"the plan has stages 1 to {len(plan.stages)} (got {number})")
    return plan.stages[number - 1]


def _slug(label: str) -> str:
    return re.sub(r"\W+", "_", label.lower()).strip("_") or "playbook"
