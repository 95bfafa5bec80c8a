"""A workflow from a requirement, as a LangGraph graph: outline, then definition, table and inputs of each part, then the check.

    python examples/flow_generation/with_langchain.py "REQUIREMENT" [--llm openai:gpt-4o-mini]

Without --llm the graph has one node that drafts by retrieval alone instead, so that it runs without a model, a key or a network.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph

from flow_answers import FlowState, WrittenFlow
from flow_writer import FlowQuestions
from multiretriever.core import Catalog, Index, MultiRetriever, MultiRetrieverError
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.grounding import draft_flow
from multiretriever.grounding.dialogue import aconverse
from multiretriever.langchain import achat_with, init_model

REQUIREMENT = "Every day, look up incident tasks that do not have assignees and close them."
STAGES = ("outline", "call", "inputs")


class GraphState(TypedDict, total=False):
    """What the nodes pass on."""

    requirement: str
    writing: FlowState
    written: WrittenFlow


def chat_graph(model: BaseChatModel, questions: FlowQuestions) -> Any:
    """A node for each kind of question; the state says which of them is next."""
    chat = achat_with(model)

    async def begin(state: GraphState) -> GraphState:
        return {"writing": questions.start(state["requirement"])}

    async def ask(state: GraphState) -> GraphState:
        writing = state["writing"]
        get_stream_writer()(writing.progress)
        dialogue = await asyncio.to_thread(questions.question, writing)
        await aconverse(dialogue, chat)  # faulty answers are sent back, at most three times
        return {"writing": await asyncio.to_thread(questions.take, writing, dialogue)}

    async def check(state: GraphState) -> GraphState:
        return {"written": questions.finish(state["writing"])}

    def following(state: GraphState) -> str:
        return "check" if state["writing"].stage == "done" else state["writing"].stage

    graph = StateGraph(GraphState)
    graph.add_node("begin", begin)
    graph.add_node("check", check)
    for stage in STAGES:
        graph.add_node(stage, ask)
        graph.add_conditional_edges(stage, following, [*STAGES, "check"])
    graph.add_edge(START, "begin")
    graph.add_edge("begin", "outline")
    graph.add_edge("check", END)
    return graph.compile()


def draft_graph(retriever: MultiRetriever, catalog: Catalog) -> Any:
    """The offline form: a draft by the same retrieval."""

    def draft(state: GraphState) -> GraphState:
        made = draft_flow(retriever, state["requirement"], catalog=catalog)
        for part in made.parts:
            get_stream_writer()(f"{part.clause.text}: {part.step.id if part.step else 'no step'}")
        return {"written": WrittenFlow(made.flow, made.check)}

    graph = StateGraph(GraphState)
    graph.add_node("draft", draft)
    graph.add_edge(START, "draft")
    graph.add_edge("draft", END)
    return graph.compile()


async def run(
    requirement: str,
    retriever: MultiRetriever,
    catalog: Catalog,
    *,
    llm: BaseChatModel | None = None,
    on_progress: Callable[[str], None] = lambda line: None,
) -> WrittenFlow:
    """Writes a flow. Every name in it exists; ``changes`` says what was changed for that."""
    graph = chat_graph(llm, FlowQuestions(retriever, catalog=catalog)) if llm else draft_graph(retriever, catalog)
    state: GraphState = {}
    # A flow of 40 steps, the most that is taken, is 83 nodes.
    async for mode, chunk in graph.astream(
        {"requirement": requirement}, stream_mode=["custom", "values"], config={"recursion_limit": 100}
    ):
        if mode == "custom":
            on_progress(chunk)
        else:
            state = chunk
    return state["written"]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requirement", nargs="?", default=REQUIREMENT)
    parser.add_argument("--llm", metavar="PROVIDER:MODEL", help="a chat model of LangChain")
    parser.add_argument("--index", default=".multiretriever/demo", help="folder of the index of the bundled catalog")
    options = parser.parse_args(argv)
    try:
        model = init_model(options.llm) if options.llm else None
        catalog = Catalog.from_path(IT_SERVICE)
        with Index.open(options.index, create=True) as index:
            index.sync(catalog, progress=sys.stderr.isatty())
            retriever = MultiRetriever(index)
            tell = lambda line: print(line, file=sys.stderr)  # noqa: E731
            written = asyncio.run(run(options.requirement, retriever, catalog, llm=model, on_progress=tell))
    except MultiRetrieverError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(written.flow.to_yaml())
    for change in written.changes:
        print(f"changed: {change}")
    print("valid" if written.check.valid else f"not valid: {'; '.join(map(str, written.check.findings))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
