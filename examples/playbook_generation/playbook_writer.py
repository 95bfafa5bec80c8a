"""Making a playbook: its stages first, then the activities of each stage, then the whole, checked.

The two levels are those of flow generation (Béchard and Ayala, arXiv 2404.08189). A chat model (``PlaybookWriter``) or retrieval
alone (``PlaybookDrafter``) makes it in the same steps, which graphs and workflows call one by one: ``plan``, ``stage`` for each
stage, ``finish``.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, TypeVar

from multiretriever.core.catalog import Catalog
from multiretriever.core.clauses import split_clauses
from multiretriever.core.elements import Element, Workflow
from multiretriever.core.errors import ParameterError
from multiretriever.core.query import MAX_QUERY
from multiretriever.core.retriever import MultiRetriever
from multiretriever.grounding.dialogue import (
    MAX_TRIALS,
    AsyncChat,
    Chat,
    Dialogue,
    Reading,
    aconverse,
    converse,
    data_block,
    data_blocks,
    entry,
    read_answer,
)
from multiretriever.grounding.flow_check import Change
from playbook_answers import (
    PlannedStage,
    PlaybookOutline,
    PlaybookPlan,
    StageChoice,
    StageIdea,
    WrittenPlaybook,
    WrittenStage,
    mend_outline,
    mend_stage,
    outline_faults,
    stage_faults,
)
from playbook_check import check_playbook
from playbooks import ELEMENT_TYPES, Activity, Playbook, Stage

Progress = Callable[[str], None]
ChatT = TypeVar("ChatT")

CANDIDATES = 8
_CONTEXT = 600
_SHOWN = 300
_KINDS = {element_type: kind for kind, element_type in ELEMENT_TYPES.items()}


class PlaybookMaker(ABC):
    """Makes playbooks. Holds no state of a playbook: one object makes many at once.

    Attributes:
        retriever: The retriever.
        catalog: The catalog of its index.
        types: Element types of the index that activities are made of.
    """

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
        held = retriever.index.manifest.types
        self.types = tuple(name for name in ELEMENT_TYPES.values() if name in held)
        if not self.types:
            raise ParameterError(f"expected an index with workflows or catalog items, got {', '.join(held) or 'nothing'}")
        if k < 1:
            raise ParameterError(f"expected a k of at least 1, got {k}")
        self.catalog = catalog or retriever.index.catalog()
        self.retriever = retriever
        self._k = k

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
            taken: Ids of other stages already. Stages can also be made side by side, without: ``finish`` leaves out what appears
                twice.

        Raises:
            LLMError: A chat model cannot be reached.
            StoreError: The index cannot be read.
        """

    async def aplan(self, requirement: str) -> PlaybookPlan:
        """Does ``plan`` without blocking the event loop."""
        return await asyncio.to_thread(self.plan, requirement)

    async def astage(self, plan: PlaybookPlan, number: int, taken: Collection[str] = ()) -> WrittenStage:
        """Does ``stage`` without blocking the event loop."""
        return await asyncio.to_thread(self.stage, plan, number, taken)

    def finish(self, plan: PlaybookPlan, stages: Iterable[WrittenStage]) -> WrittenPlaybook:
        """Returns the playbook of a plan and its stages, in any order, checked. Every id in it exists, and none appears twice.

        A stage that was not made has no activities.
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
            missing = item.stage.missing or ("what fits is in an earlier stage already" if ids and not kept else "")
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

    def check_requirement(self, requirement: str) -> None:
        """Checks a requirement as every query is checked.

        Raises:
            QueryError: It is empty, not text, or too long.
        """
        self.retriever.prompt(requirement, self.types[0])

    def candidates(self, requirement: str, stage: PlannedStage | None = None) -> dict[str, list[Element]]:
        """Returns the elements for a whole requirement, or for a stage of it, by element type.

        For a stage they are found by its own words, and by them after the requirement, in turn: its words find more where they
        say what is to be done, the requirement helps where they do not ("Preparation").
        """
        queries = [requirement] if stage is None else [stage.words, f"{requirement[:_CONTEXT]}\n{stage.words}"]
        answers = [self.retriever.ground(query, dict.fromkeys(self.types, self._k)) for query in queries]
        found = {}
        for name in self.types:
            in_turn = chain.from_iterable(zip_longest(*(answer[name] for answer in answers)))
            found[name] = list({hit.id: hit.element for hit in in_turn if hit is not None}.values())[: self._k]
        return found


class PlaybookDrafter(PlaybookMaker):
    """Makes playbooks without a chat model: each clause of the requirement is a stage, with what is retrieved first for it.

    It adds nothing that the requirement does not say, and cannot tell that nothing in the catalog fits.
    """

    def plan(self, requirement: str) -> PlaybookPlan:
        """Takes the clauses as stages; see ``PlaybookMaker.plan``."""
        self.check_requirement(requirement)
        clauses = [clause.text for clause in split_clauses(requirement)] or [requirement.strip()]
        ideas = [StageIdea(name=clause[:1].upper() + clause[1:], purpose="") for clause in clauses]
        return mend_outline(requirement, PlaybookOutline(label=ideas[0].name, stages=ideas))

    def stage(self, plan: PlaybookPlan, number: int, taken: Collection[str] = ()) -> WrittenStage:
        """Takes the workflow or catalog item with the best score, taken or not; see ``PlaybookMaker.stage``."""
        planned = planned_stage(plan, number)
        found = self.retriever.ground(planned.words[:MAX_QUERY], dict.fromkeys(self.types, 1))
        best = max((hit for name in self.types for hit in found[name]), key=lambda hit: hit.score, default=None)
        if best is None:
            stage = Stage(name=planned.name, missing="nothing in the catalog was found for it")
        else:
            stage = Stage(name=planned.name, activities=(Activity(kind=_KINDS[best.element.element_type], id=best.id),))
        return WrittenStage(number=number, stage=stage)


class PlaybookWriter(PlaybookMaker):
    """Makes playbooks with a chat model: each question shows what was retrieved for it.

    A faulty answer is sent back with its faults and the candidates. What is still wrong after the last trial is mended: an id
    that does not exist becomes the nearest real one or is left out, and each such change is reported.
    """

    def __init__(
        self,
        retriever: MultiRetriever,
        chat: Chat | None = None,
        achat: AsyncChat | None = None,
        *,
        catalog: Catalog | None = None,
        k: int = CANDIDATES,
        trials: int = MAX_TRIALS,
    ) -> None:
        """Makes it.

        Args:
            retriever: As for ``PlaybookMaker``.
            chat: The chat model: ``chat_with(model)`` of the LangChain or the LlamaIndex portion; None where it is only awaited.
            achat: The same, awaited: ``achat_with(model)``; None where it is never awaited.
            catalog: As for ``PlaybookMaker``.
            k: As for ``PlaybookMaker``.
            trials: Answers to a question at most.

        Raises:
            ParameterError: ``trials`` is below 1. Beside that, what ``PlaybookMaker`` raises.
        """
        super().__init__(retriever, catalog=catalog, k=k)
        if trials < 1:
            raise ParameterError(f"expected trials of at least 1, got {trials}")
        self._chat = chat
        self._achat = achat
        self._trials = trials

    def plan(self, requirement: str) -> PlaybookPlan:
        """Asks for the stages; see ``PlaybookMaker.plan``."""
        dialogue = self._outline_dialogue(requirement)
        converse(dialogue, _given(self._chat, "chat"))
        return mend_outline(requirement, dialogue.result())

    async def aplan(self, requirement: str) -> PlaybookPlan:
        """Does ``plan``, awaited."""
        dialogue = await asyncio.to_thread(self._outline_dialogue, requirement)
        await aconverse(dialogue, _given(self._achat, "achat"))
        return mend_outline(requirement, dialogue.result())

    def stage(self, plan: PlaybookPlan, number: int, taken: Collection[str] = ()) -> WrittenStage:
        """Asks for the activities of a stage; see ``PlaybookMaker.stage``."""
        question = _StageQuestion(self, plan, number, taken, self._trials)
        converse(question.dialogue, _given(self._chat, "chat"))
        return question.take()

    async def astage(self, plan: PlaybookPlan, number: int, taken: Collection[str] = ()) -> WrittenStage:
        """Does ``stage``, awaited."""
        question = await asyncio.to_thread(_StageQuestion, self, plan, number, taken, self._trials)
        await aconverse(question.dialogue, _given(self._achat, "achat"))
        return question.take()

    def _outline_dialogue(self, requirement: str) -> Dialogue[PlaybookOutline]:
        self.check_requirement(requirement)
        blocks = {"requirement": requirement, **_shown(self.candidates(requirement))}

        def read(text: str) -> Reading[PlaybookOutline]:
            reading = read_answer(text, PlaybookOutline)
            value = reading.value if reading.value and reading.value.stages else None
            return Reading(value, reading.faults if reading.value is None else outline_faults(reading.value))

        return Dialogue(_prompt("playbook_outline"), data_blocks(blocks), read, schema=PlaybookOutline, trials=self._trials)


class _StageQuestion:
    """The question for the activities of one stage, and what comes of its dialogue."""

    def __init__(self, maker: PlaybookMaker, plan: PlaybookPlan, number: int, taken: Collection[str], trials: int) -> None:
        self._planned = planned_stage(plan, number)
        self._catalog, self._number, self._taken = maker.catalog, number, frozenset(taken)
        found = maker.candidates(plan.requirement, self._planned)
        self._ids = [item.id for items in found.values() for item in items]
        blocks: dict[str, Any] = {
            "requirement": plan.requirement,
            "stages": [f"{place}. {item.words}" for place, item in enumerate(plan.stages, start=1)],
            "stage": {"number": number, **self._planned.model_dump()},
            **_shown(found),
            "already_chosen": sorted(self._taken),
        }
        self.dialogue = Dialogue(_prompt("playbook_stage"), data_blocks(blocks), self._read, schema=StageChoice, trials=trials)

    def _read(self, text: str) -> Reading[StageChoice]:
        return read_answer(text, StageChoice, self._faults)

    def _faults(self, choice: StageChoice) -> tuple[str, ...]:
        faults = stage_faults(choice, self._catalog, self._taken)
        # Ids are text of the catalog: they stay in a block.
        return (*faults[:-1], f"{faults[-1]}\n{data_block('candidates', self._ids)}") if faults else ()

    def take(self) -> WrittenStage:
        """Returns the stage of the best answer; without activities, and with what is missing, where none could be read."""
        where, planned, reading = f"stage {self._number}", self._planned, self.dialogue.reading
        if reading.value is None:
            missing = f"the chat model gave no answer that can be used in {self.dialogue.answers} trials"
            stage = Stage(name=planned.name, purpose=planned.purpose, missing=missing)
            return WrittenStage(number=self._number, stage=stage, changes=(Change(where, "answer to", planned.name, ""),))
        activities, changes = mend_stage(reading.value, where, self._catalog, self._taken, self._ids)
        missing = reading.value.missing.strip()
        if not activities and not missing:
            missing = "nothing that was chosen exists in the catalog"
        stage = Stage(name=planned.name, purpose=planned.purpose, activities=activities, missing=missing)
        return WrittenStage(number=self._number, stage=stage, changes=changes)


def ids_of(stages: Iterable[WrittenStage]) -> tuple[str, ...]:
    """Returns the ids of all activities of stages."""
    return tuple(activity.id for item in stages for activity in item.stage.activities)


def planned_stage(plan: PlaybookPlan, number: int) -> PlannedStage:
    """Returns a stage of a plan by its number.

    Raises:
        ParameterError: There is no such stage.
    """
    if not 1 <= number <= len(plan.stages):
        raise ParameterError(f"expected one of the stages 1 to {len(plan.stages)}, got {number}")
    return plan.stages[number - 1]


def _prompt(name: str) -> str:
    return Path(__file__).with_name(f"{name}.md").read_text(encoding="utf-8")


def _shown(found: dict[str, list[Element]]) -> dict[str, list[dict[str, Any]]]:
    """Returns what a chat model is shown of elements, by the name of the block that holds them."""
    return {f"{name}s": [_entry(element) for element in elements] for name, elements in found.items() if elements}


def _entry(element: Element) -> dict[str, Any]:
    values = entry(element)
    if isinstance(element, Workflow) and element.flow is not None:
        # What a workflow was asked for says more of when to use it than the ids of its steps, which would be taken for names.
        values.pop("steps", None)
        values |= {"does": element.flow.requirement[:_SHOWN]} if element.flow.requirement else {}
    return values


def _slug(label: str) -> str:
    return re.sub(r"\W+", "_", label.lower()).strip("_") or "playbook"


def _given(chat: ChatT | None, name: str) -> ChatT:
    if chat is None:
        raise ParameterError(f"the playbook writer was made without {name}=, which this call needs")
    return chat
