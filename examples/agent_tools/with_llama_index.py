"""An agent over more than two thousand operations, with LlamaIndex: each turn is offered the ten tools that fit it best.

Run ``python examples/agent_tools/with_llama_index.py ["REQUEST" ...] [--llm MODULE:CLASS:MODEL] [--index FOLDER]``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from llama_index.core.llms import LLM, ChatMessage, ChatResponse, MessageRole
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step
from pydantic import Field

from llama_index_tools import FirstToolLLM, aask_with_tools, said, tool_calls, tool_messages
from multiretriever.llama_index import init_llm
from multiretriever.llama_index.tools import CatalogTool
from operations import MAX_ROUNDS, STOPPED, SYSTEM, Operations, Turn, converse, queries_of, report
from toolbox import Outcome


class Said(StartEvent):
    """The conversation so far, with the newest message of the user at its end."""

    messages: list[ChatMessage]


class State(Event):
    """One turn of the conversation.

    Attributes:
        messages: The conversation.
        offered: Names of the tools that the LLM is offered in this turn.
        outcomes: What came of the calls of this turn.
        rounds: How often calls were run in this turn.
    """

    messages: list[ChatMessage]
    offered: list[str]
    outcomes: list[Outcome] = Field(default_factory=list)
    rounds: int = 0

    def then(self, messages: Sequence[ChatMessage], outcomes: Sequence[Outcome]) -> State:
        """Returns the state after calls were answered."""
        said_now, done = [*self.messages, *messages], [*self.outcomes, *outcomes]
        return State(messages=said_now, offered=self.offered, outcomes=done, rounds=self.rounds + 1)


class Called(Event):
    """The LLM has called tools."""

    state: State
    response: ChatResponse


class Agent(Workflow):
    """Retrieve tools, ask the LLM, run its calls, ask again."""

    def __init__(self, operations: Operations, llm: LLM) -> None:
        super().__init__(timeout=None)
        self.operations = operations
        self.llm = llm
        self.tools = {name: CatalogTool(tool) for name, tool in operations.toolbox.tools.items()}

    @step
    async def retrieve(self, event: Said) -> State:
        """Finds the tools of this turn."""
        offered = await self.operations.aoffer(queries_of(said(event.messages)))
        report(f"offered {len(offered)} of {len(self.tools)} tools")
        return State(messages=event.messages, offered=offered)

    @step
    async def ask(self, state: State) -> Called | StopEvent:
        """Asks the LLM, which is offered these tools."""
        offered = [self.tools[name] for name in state.offered]
        system = ChatMessage(role=MessageRole.SYSTEM, content=SYSTEM)
        response = await aask_with_tools(self.llm, offered, [system, *state.messages])
        if tool_calls(self.llm, response):
            return Called(state=state, response=response)
        return StopEvent(result=state.then([response.message], []))

    @step
    async def call(self, event: Called) -> State | StopEvent:
        """Runs what was offered and fits, refuses the rest, and stops after too many rounds."""
        state, calls, toolbox = event.state, tool_calls(self.llm, event.response), self.operations.toolbox
        if state.rounds >= MAX_ROUNDS:
            outcomes = toolbox.refuse(calls, f"at most {MAX_ROUNDS} rounds of calls are run")
            answer = ChatMessage(role=MessageRole.ASSISTANT, content=STOPPED)
            return StopEvent(result=state.then([event.response.message, *tool_messages(outcomes), answer], outcomes))
        outcomes = await toolbox.arun(calls, state.offered)
        report("; ".join(f"{outcome.fault or 'called'} {outcome.call.name}" for outcome in outcomes))
        return state.then([event.response.message, *tool_messages(outcomes)], outcomes)


async def arun(requests: Sequence[str], llm: LLM | None = None, *, operations: Operations) -> list[Turn]:
    """Holds a conversation; returns its turns."""
    agent = Agent(operations, llm or FirstToolLLM())
    messages: list[ChatMessage] = []
    turns = []
    for request in requests:
        asked = ChatMessage(role=MessageRole.USER, content=request)
        state: State = await agent.run(start_event=Said(messages=[*messages, asked]))
        messages = state.messages
        turns.append(Turn(request, state.offered, state.outcomes, messages[-1].content or ""))
    return turns


def run(requests: Sequence[str], llm: LLM | None = None, *, operations: Operations) -> list[Turn]:
    """Does ``arun`` to its end."""
    return asyncio.run(arun(requests, llm, operations=operations))


def main(argv: Sequence[str] | None = None) -> int:
    """Holds the conversation of the command line."""
    return converse(argv, run, init_llm)


if __name__ == "__main__":
    sys.exit(main())
