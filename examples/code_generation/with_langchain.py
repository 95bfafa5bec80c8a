"""A query or a script from a request, as a LangGraph graph: retrieve tables and fields, write, check (and write again), run.

    python examples/code_generation/with_langchain.py "REQUEST" [--language sql|python] [--llm openai:gpt-4o-mini]

Without --llm the graph drafts by retrieval alone, so that it runs without a model, a key or a network. A query is run on a SQLite
database made of the catalog; a script is checked and not run.
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

from code_writer import (
    LANGUAGES,
    CodeDraft,
    CodeWriting,
    Language,
    draft_code,
    field_queries,
    show_tables,
)
from multiretriever.core import Catalog, Index, MultiRetriever, MultiRetrieverError
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.core.errors import AnswerError
from multiretriever.grounding.sql_schema import RelationalSchema
from multiretriever.langchain import FieldRetriever, TableRetriever, achat_with, init_model
from sqlite_sample import Rows, SampleDatabase

REQUEST = "Which open incidents of priority 1 have no assignee? Show number, short description and opened date"


class GraphState(TypedDict, total=False):
    """What the nodes pass on."""

    request: str
    writing: CodeWriting
    answer: str | None
    draft: CodeDraft
    rows: Rows | None


def build_graph(
    model: BaseChatModel | None, retriever: MultiRetriever, catalog: Catalog, database: SampleDatabase, language: Language
) -> Any:
    """Retrieve, write, check, run; without a model, draft and run."""
    schema = RelationalSchema(catalog)
    tables, fields = TableRetriever(retriever=retriever, k=5), FieldRetriever(retriever=retriever, k=3)

    async def retrieve(state: GraphState) -> GraphState:
        found = []
        for document in await tables.ainvoke(state["request"]):
            where = {"table": document.metadata["name"]}
            rows = await fields.abatch(field_queries(state["request"]), where=where)
            hits = [catalog.get("field", hit.metadata["id"]) for row in rows for hit in row]
            found.append((catalog.get("table", document.metadata["id"]), hits))
        shown = show_tables(found, schema)
        get_stream_writer()(f"retrieved the tables {', '.join(item.relation.name for item in shown)}")
        return {"writing": CodeWriting(state["request"], shown, schema, language, database if language == "sql" else None)}

    async def write(state: GraphState) -> GraphState:
        dialogue = state["writing"].dialogue
        try:
            return {"answer": await achat_with(model)(dialogue.messages, dialogue.schema)} if model else {}
        except AnswerError as error:
            dialogue.refuse(str(error))
            return {"answer": None}

    async def check(state: GraphState) -> GraphState:
        writing, answer = state["writing"], state["answer"]
        if answer is not None:
            await asyncio.to_thread(writing.dialogue.hear, answer)
        get_stream_writer()("; ".join(writing.dialogue.reading.faults) or "checked: every name exists")
        return {} if writing.dialogue.open else {"draft": await asyncio.to_thread(writing.finish)}

    async def draft(state: GraphState) -> GraphState:
        made = await asyncio.to_thread(draft_code, retriever, state["request"], language=language, schema=schema)
        get_stream_writer()("drafted by retrieval and checked: every name exists")
        return {"draft": made}

    async def run_query(state: GraphState) -> GraphState:
        return {"rows": await asyncio.to_thread(database.run, state["draft"].code) if language == "sql" else None}

    graph = StateGraph(GraphState)
    for node in (retrieve, write, check, draft):
        graph.add_node(node.__name__, node)
    graph.add_node("run", run_query)
    graph.add_conditional_edges(START, lambda state: "retrieve" if model else "draft", ["retrieve", "draft"])
    graph.add_edge("retrieve", "write")
    graph.add_edge("write", "check")
    graph.add_conditional_edges("check", lambda state: "run" if "draft" in state else "write", ["run", "write"])
    graph.add_edge("draft", "run")
    graph.add_edge("run", END)
    return graph.compile()


async def run(
    request: str,
    retriever: MultiRetriever,
    catalog: Catalog,
    database: SampleDatabase,
    *,
    language: Language = "sql",
    llm: BaseChatModel | None = None,
    on_progress: Callable[[str], None] = lambda line: None,
) -> tuple[CodeDraft, Rows | None]:
    """Writes code and runs it where it is a query. Every name in it exists; ``changes`` holds what was changed for that."""
    graph, state = build_graph(llm, retriever, catalog, database, language), GraphState()
    async for mode, chunk in graph.astream({"request": request}, stream_mode=["custom", "values"]):
        if mode == "custom":
            on_progress(chunk)
        else:
            state = chunk
    return state["draft"], state["rows"]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("request", nargs="?", default=REQUEST)
    parser.add_argument("--language", choices=LANGUAGES, default="sql")
    parser.add_argument("--llm", metavar="PROVIDER:MODEL", help="a chat model of LangChain")
    parser.add_argument("--index", default=".multiretriever/demo", help="folder of the index of the bundled catalog")
    options = parser.parse_args(argv)
    try:
        model = init_model(options.llm) if options.llm else None
        catalog = Catalog.from_path(IT_SERVICE)
        with Index.open(options.index, create=True) as index, SampleDatabase.from_catalog(catalog, rows=100) as database:
            index.sync(catalog, progress=sys.stderr.isatty())
            tell = lambda line: print(line, file=sys.stderr)  # noqa: E731
            call = run(
                options.request, MultiRetriever(index), catalog, database, language=options.language, llm=model, on_progress=tell
            )
            draft, rows = asyncio.run(call)
    except MultiRetrieverError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(draft.code)
    for change in draft.changes:
        print(f"changed: {change}", file=sys.stderr)
    if rows is not None:
        print(f"\n{rows.to_markdown()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
