"""A playbook from a requirement, as a LangGraph graph: plan -> stage (once for each) -> check.

Usage: python examples/playbook_generation/with_langchain.py ["REQUIREMENT"] [--llm PROVIDER:MODEL]
"""

from __future__ import annotations

import argparse
import operator
import sys
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph

from multiretriever.core import Catalog, Index, MultiRetriever, MultiRetrieverError
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.langchain import chat_with, init_model
from playbook_answers import PlaybookPlan, WrittenPlaybook, WrittenStage
from playbook_writer import PlaybookDrafter, PlaybookMaker, PlaybookWriter, ids_of

REQUIREMENT = (
    "Onboarding a new engineer. Two weeks before the start everything is prepared: account, laptop and desk. "
    "On the first day she gets a badge and her second factor. "
    "Within the first month she attends a secure coding class and gets admin rights on the test servers."
)


class State(TypedDict, total=False):
    """What the nodes know."""

    requirement: str
    plan: PlaybookPlan
    stages: Annotated[list[WrittenStage], operator.add]
    written: WrittenPlaybook


def build_graph(maker: PlaybookMaker) -> Any:
    """Returns the graph; each node reports what it did on the stream ``custom``."""

    def plan(state: State) -> State:
        planned = maker.plan(state["requirement"])
        get_stream_writer()(f"plan: {', '.join(item.name for item in planned.stages)}")
        return {"plan": planned}

    def stage(state: State) -> State:
        done = state.get("stages", [])
        written = maker.stage(state["plan"], len(done) + 1, taken=ids_of(done))
        get_stream_writer()(written.progress)
        return {"stages": [written]}

    def check(state: State) -> State:
        written = maker.finish(state["plan"], state["stages"])
        get_stream_writer()(f"check: {len(written.check.hallucinated)} hallucinated names")
        return {"written": written}

    def more(state: State) -> str:
        return "stage" if len(state["stages"]) < len(state["plan"].stages) else "check"

    graph = StateGraph(State)
    graph.add_node("plan", plan)
    graph.add_node("stage", stage)
    graph.add_node("check", check)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "stage")
    graph.add_conditional_edges("stage", more, ["stage", "check"])
    graph.add_edge("check", END)
    return graph.compile()


def run(request: str, retriever: MultiRetriever, llm: BaseChatModel | None = None) -> WrittenPlaybook:
    """Makes the playbook, by retrieval alone where there is no chat model, and reports the progress on stderr."""
    maker = PlaybookDrafter(retriever) if llm is None else PlaybookWriter(retriever, chat_with(llm))
    state: State = {}
    for mode, part in build_graph(maker).stream({"requirement": request}, stream_mode=["custom", "values"]):
        if mode == "custom":
            print(part, file=sys.stderr)
        else:
            state = part
    return state["written"]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Makes a playbook of the bundled catalog's workflows and catalog items.")
    parser.add_argument("request", nargs="?", default=REQUIREMENT, metavar="REQUIREMENT")
    parser.add_argument("--llm", metavar="PROVIDER:MODEL", help="a chat model, such as openai:gpt-4o-mini")
    parser.add_argument("--index", default=".multiretriever/demo", help="folder of the index of the bundled catalog")
    options = parser.parse_args(argv)
    try:
        llm = init_model(options.llm) if options.llm else None
        with Index.open(options.index, create=True) as index:
            index.sync(Catalog.from_path(IT_SERVICE), progress=sys.stderr.isatty())
            written = run(options.request, MultiRetriever(index), llm)
    except MultiRetrieverError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(written.playbook.to_yaml(), end="")
    for line in (*written.changes, *written.check.findings):
        print(f"# {line}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
