"""Writing a playbook with a chat model: each question brings what was retrieved for it, and each answer is held to what exists.

A faulty answer is sent back with its faults and the candidates. What is still wrong after the last trial is mended: an id that
does not exist becomes the nearest real one or is left out, and the playbook tells so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, TypeVar

from multiretriever.core.catalog import Catalog
from multiretriever.core.errors import ParameterError
from multiretriever.core.generation.playbook import PlaybookMaker, planned_stage
from multiretriever.core.generation.playbook_candidates import CANDIDATES, PlaybookCandidates, shown
from multiretriever.core.generation.playbook_faults import mend_outline, mend_stage, outline_faults, stage_faults
from multiretriever.core.generation.playbook_parts import PlaybookOutline, PlaybookPlan, StageChoice, WrittenStage
from multiretriever.core.generation.prompting import system_prompt
from multiretriever.core.playbooks import Stage
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
    read_answer,
)
from multiretriever.grounding.flow_check import Change

ChatT = TypeVar("ChatT")


class PlaybookWriter(PlaybookMaker):
    """Makes playbooks with a chat model."""

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
            raise ParameterError(f"trials must be at least 1 (got {trials})")
        self._chat = chat
        self._achat = achat
        self._trials = trials

    def plan(self, requirement: str) -> PlaybookPlan:
        """Asks for the stages; see ``PlaybookMaker.plan``."""
        dialogue = self.outline_dialogue(requirement)
        converse(dialogue, _given(self._chat, "chat"))
        return mend_outline(requirement, dialogue.result())

    async def aplan(self, requirement: str) -> PlaybookPlan:
        """Does ``plan``, awaited."""
        dialogue = await asyncio.to_thread(self.outline_dialogue, requirement)
        await aconverse(dialogue, _given(self._achat, "achat"))
        return mend_outline(requirement, dialogue.result())

    def stage(self, plan: PlaybookPlan, number: int, taken: Collection[str] = ()) -> WrittenStage:
        """Asks for the activities of a stage; see ``PlaybookMaker.stage``."""
        question = self.stage_question(plan, number, taken)
        converse(question.dialogue, _given(self._chat, "chat"))
        return question.take()

    async def astage(self, plan: PlaybookPlan, number: int, taken: Collection[str] = ()) -> WrittenStage:
        """Does ``stage``, awaited."""
        question = await asyncio.to_thread(self.stage_question, plan, number, taken)
        await aconverse(question.dialogue, _given(self._achat, "achat"))
        return question.take()

    def outline_dialogue(self, requirement: str) -> Dialogue[PlaybookOutline]:
        """Returns the question for the stages; its result goes to ``mend_outline``. Raises what ``plan`` raises."""
        self.candidates.check(requirement)
        blocks = {"requirement": requirement, **shown(self.candidates.for_requirement(requirement))}

        def read(text: str) -> Reading[PlaybookOutline]:
            reading = read_answer(text, PlaybookOutline)
            value = reading.value if reading.value and reading.value.stages else None
            return Reading(value, reading.faults if reading.value is None else outline_faults(reading.value))

        return Dialogue(system_prompt("playbook_outline"), data_blocks(blocks), read, schema=PlaybookOutline, trials=self._trials)

    def stage_question(self, plan: PlaybookPlan, number: int, taken: Collection[str] = ()) -> StageQuestion:
        """Returns the question for the activities of a stage. Raises what ``stage`` raises."""
        return StageQuestion(self.candidates, self.catalog, plan, number, taken, self._trials)


class StageQuestion:
    """The question for the activities of one stage.

    Attributes:
        dialogue: What is asked and answered.
    """

    def __init__(
        self,
        candidates: PlaybookCandidates,
        catalog: Catalog,
        plan: PlaybookPlan,
        number: int,
        taken: Collection[str],
        trials: int,
    ) -> None:
        """Retrieves the candidates and makes the question."""
        self._planned = planned_stage(plan, number)
        self._catalog, self._number, self._taken = catalog, number, frozenset(taken)
        found = candidates.for_stage(plan.requirement, self._planned)
        self._ids = [item.id for items in found.values() for item in items]
        stages = [f"{place}. {item.words}" for place, item in enumerate(plan.stages, start=1)]
        blocks: dict[str, Any] = {
            "requirement": plan.requirement,
            "stages": stages,
            "stage": {"number": number, **self._planned.model_dump()},
        }
        blocks |= {**shown(found), "already_chosen": sorted(self._taken)}
        self.dialogue = Dialogue(
            system_prompt("playbook_stage"), data_blocks(blocks), self._read, schema=StageChoice, trials=trials
        )

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


def _given(chat: ChatT | None, name: str) -> ChatT:
    if chat is None:
        raise ParameterError(f"the playbook writer was made without {name}=, which this call needs")
    return chat
