"""Writing a flow with a chat model, from the first question to the checked flow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from multiretriever.core.errors import FlowError
from multiretriever.core.flows import Flow
from multiretriever.core.generation.flow_questions import FlowQuestions
from multiretriever.core.generation.flow_state import FlowState, WrittenFlow
from multiretriever.core.generation.prompting import system_prompt
from multiretriever.grounding.dialogue import (
    MAX_TRIALS,
    AsyncChat,
    Chat,
    Dialogue,
    Reading,
    aconverse,
    converse,
    data_block,
    fenced,
)

Progress = Callable[[FlowState], None]


def write_flow(
    chat: Chat, questions: FlowQuestions, requirement: str, *, on_progress: Progress = lambda state: None
) -> WrittenFlow:
    """Lets a chat model write a flow, grounded in what is retrieved for each part of it.

    Args:
        chat: The chat model: ``chat_with(model)`` of the LangChain or the LlamaIndex portion.
        questions: What is asked, over which index.
        requirement: What is asked for.
        on_progress: Called with each state.

    Returns:
        The flow. Every name in it exists; ``changes`` tells what was changed for that.

    Raises:
        QueryError: The requirement is empty, not text, or too long.
        LLMError: The model cannot be reached, or none of its answers was an outline.
        StoreError: The index cannot be read.
    """
    state = questions.start(requirement)
    while state.stage != "done":
        on_progress(state)
        dialogue = questions.question(state)
        converse(dialogue, chat)
        state = questions.take(state, dialogue)
    on_progress(state)
    return questions.finish(state)


async def awrite_flow(
    chat: AsyncChat, questions: FlowQuestions, requirement: str, *, on_progress: Progress = lambda state: None
) -> WrittenFlow:
    """``write_flow`` for an awaited model; retrieval runs in threads."""
    state = questions.start(requirement)
    while state.stage != "done":
        on_progress(state)
        dialogue = await asyncio.to_thread(questions.question, state)
        await aconverse(dialogue, chat)
        state = await asyncio.to_thread(questions.take, state, dialogue)
    on_progress(state)
    return questions.finish(state)


def flow_alone(requirement: str, *, trials: int = MAX_TRIALS) -> Dialogue[Flow]:
    """Returns the question for a flow without any grounding, to measure against: what a chat model makes up when nobody tells it.

    Only the form of an answer is checked; names are taken as they come.
    """

    def read(text: str) -> Reading[Flow]:
        try:
            flow = Flow.from_yaml(fenced(text), source="answer")
        except FlowError as error:
            return Reading(None, tuple(str(problem) for problem in error.problems))
        return Reading(flow.model_copy(update={"requirement": requirement}), () if flow.steps else ("the flow has no steps",))

    return Dialogue(system_prompt("flow_alone"), data_block("requirement", requirement), read, trials=trials)
