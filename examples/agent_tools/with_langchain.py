"""An agent over more than two thousand operations, with LangGraph: each turn is offered the ten tools that fit it best.

Run ``python examples/agent_tools/with_langchain.py ["REQUEST" ...] [--llm openai:gpt-4o-mini] [--index FOLDER]``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph

from langchain_tools import FirstToolModel, ask_with_tools, said, tool_calls, tool_messages
from multiretriever.langchain import init_model
from multiretriever.langchain.tools import CatalogTool
from operations import MAX_ROUNDS, STOPPED, SYSTEM, Operations, Turn, converse, queries_of, report
from toolbox import Outcome


class State(TypedDict):
    """One turn of the conversation.

    Attributes:
        messages: The conversation.
        offered: Names of the tools that the model is offered in this turn.
        outcomes: What came of the calls of this turn.
        rounds: How often calls were run in this turn.
    """

    messages: Annotated[list[AnyMessage], add_messages]
    offered: list[str]
    outcomes: list[Outcome]
    rounds: int


def build_agent(operations: Operations, llm: BaseChatModel) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Puts the agent together: retrieve tools, ask the model, run its calls, ask again.

    LangGraph runs the nodes in threads where the agent is awaited, so that the event loop goes on.
    """
    tools = {name: CatalogTool(tool) for name, tool in operations.toolbox.tools.items()}

    def retrieve(state: State) -> dict[str, Any]:
        offered = operations.offer(queries_of(said(state["messages"])))
        report(f"offered {len(offered)} of {len(tools)} tools")
        return {"offered": offered, "outcomes": [], "rounds": 0}

    def ask(state: State) -> dict[str, Any]:
        offered = [tools[name] for name in state["offered"]]
        return {"messages": [ask_with_tools(llm, offered, [SystemMessage(SYSTEM), *state["messages"]])]}

    def call(state: State) -> dict[str, Any]:
        outcomes = operations.toolbox.run(_calls(state), state["offered"])
        report("; ".join(f"{outcome.fault or 'called'} {outcome.call.name}" for outcome in outcomes))
        done = [*state["outcomes"], *outcomes]
        return {"messages": tool_messages(outcomes), "outcomes": done, "rounds": state["rounds"] + 1}

    def stop(state: State) -> dict[str, Any]:
        outcomes = operations.toolbox.refuse(_calls(state), f"at most {MAX_ROUNDS} rounds of calls are run")
        return {"messages": [*tool_messages(outcomes), AIMessage(STOPPED)], "outcomes": [*state["outcomes"], *outcomes]}

    def after_asking(state: State) -> str:
        if not _calls(state):
            return END
        return "call" if state["rounds"] < MAX_ROUNDS else "stop"

    graph = StateGraph(State)
    graph.add_node("retrieve", retrieve)
    graph.add_node("ask", ask)
    graph.add_node("call", call)
    graph.add_node("stop", stop)
    graph.add_edge(START, "retrieve")
    graph.add_edge("retrieve", "ask")
    graph.add_conditional_edges("ask", after_asking, ["call", "stop", END])
    graph.add_edge("call", "ask")
    graph.add_edge("stop", END)
    return graph.compile()


def _calls(state: State) -> list[Any]:
    message = state["messages"][-1]
    return tool_calls(message) if isinstance(message, AIMessage) else []


async def arun(requests: Sequence[str], llm: BaseChatModel | None = None, *, operations: Operations) -> list[Turn]:
    """Holds a conversation; returns its turns."""
    agent = build_agent(operations, llm or FirstToolModel())
    messages: list[AnyMessage] = []
    turns = []
    for request in requests:
        state = await agent.ainvoke({"messages": [*messages, HumanMessage(request)]})
        messages = state["messages"]
        turns.append(Turn(request, state["offered"], state["outcomes"], str(messages[-1].text)))
    return turns


def run(requests: Sequence[str], llm: BaseChatModel | None = None, *, operations: Operations) -> list[Turn]:
    """Does ``arun`` to its end."""
    return asyncio.run(arun(requests, llm, operations=operations))


def main(argv: Sequence[str] | None = None) -> int:
    """Holds the conversation of the command line."""
    return converse(argv, run, init_model)


if __name__ == "__main__":
    sys.exit(main())
