"""A query or a script from a request, as a LlamaIndex workflow: retrieve tables and fields, write, check (and write again), run.

    python examples/code_generation/with_llama_index.py "REQUEST" [--language sql|python] [--llm MODULE:CLASS:MODEL]

Without --llm the workflow drafts by retrieval alone, so that it runs without a model, a key or a network. A query is run on a
SQLite database made of the catalog; a script is checked and not run.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.llms import LLM
from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step

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
from multiretriever.llama_index import FieldRetriever, TableRetriever, achat_with, init_llm
from sqlite_sample import Rows, SampleDatabase

REQUEST = "Which open incidents of priority 1 have no assignee? Show number, short description and opened date"


class Write(Event):
    """The model is to answer."""

    writing: CodeWriting


class Check(Event):
    """An answer has come; None where it was not in the form asked for."""

    writing: CodeWriting
    answer: str | None


class Run(Event):
    """The code is there, and checked."""

    draft: CodeDraft


class Progress(Event):
    """What is being done."""

    line: str


class CodeWorkflow(Workflow):
    """Retrieve, write, check, run; without a model, draft and run."""

    def __init__(
        self,
        llm: LLM | None,
        retriever: MultiRetriever,
        catalog: Catalog,
        database: SampleDatabase,
        language: Language,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._llm, self._retriever, self._catalog = llm, retriever, catalog
        self._database, self._language, self._schema = database, language, RelationalSchema(catalog)

    @step
    async def retrieve(self, context: Context, event: StartEvent) -> Write | Run:
        """Retrieves tables and fields."""
        if self._llm is None:
            draft = await asyncio.to_thread(
                draft_code, self._retriever, event.request, language=self._language, schema=self._schema
            )
            context.write_event_to_stream(Progress(line="drafted by retrieval and checked: every name exists"))
            return Run(draft=draft)
        found = []
        for node in await TableRetriever(retriever=self._retriever, similarity_top_k=5).aretrieve(event.request):
            fields = FieldRetriever(retriever=self._retriever, similarity_top_k=3, where={"table": node.metadata["name"]})
            rows = [await fields.aretrieve(query) for query in field_queries(event.request)]
            hits = [self._catalog.get("field", hit.node.node_id) for row in rows for hit in row]
            found.append((self._catalog.get("table", node.node.node_id), hits))
        shown = show_tables(found, self._schema)
        names = ", ".join(item.relation.name for item in shown)
        context.write_event_to_stream(Progress(line=f"retrieved the tables {names}"))
        database = self._database if self._language == "sql" else None
        return Write(writing=CodeWriting(event.request, shown, self._schema, self._language, database))

    @step
    async def write(self, event: Write) -> Check:
        """Asks the model."""
        dialogue = event.writing.dialogue
        try:
            answer = await achat_with(self._llm)(dialogue.messages, dialogue.schema) if self._llm else None
        except AnswerError as error:
            dialogue.refuse(str(error))
            answer = None
        return Check(writing=event.writing, answer=answer)

    @step
    async def check(self, context: Context, event: Check) -> Write | Run:
        """Checks the answer; a faulty one goes back."""
        writing = event.writing
        if event.answer is not None:
            await asyncio.to_thread(writing.dialogue.hear, event.answer)
        faults = "; ".join(writing.dialogue.reading.faults)
        context.write_event_to_stream(Progress(line=faults or "checked: every name exists"))
        return Write(writing=writing) if writing.dialogue.open else Run(draft=await asyncio.to_thread(writing.finish))

    @step
    async def run_query(self, event: Run) -> StopEvent:
        """Runs a query."""
        rows = await asyncio.to_thread(self._database.run, event.draft.code) if self._language == "sql" else None
        return StopEvent(result=(event.draft, rows))


async def run(
    request: str,
    retriever: MultiRetriever,
    catalog: Catalog,
    database: SampleDatabase,
    *,
    language: Language = "sql",
    llm: LLM | None = None,
    on_progress: Callable[[str], None] = lambda line: None,
) -> tuple[CodeDraft, Rows | None]:
    """Writes code and runs it where it is a query. Every name in it exists; ``changes`` holds what was changed for that."""
    handler = CodeWorkflow(llm, retriever, catalog, database, language, timeout=None).run(request=request)
    async for event in handler.stream_events():
        if isinstance(event, Progress):
            on_progress(event.line)
    result: tuple[CodeDraft, Rows | None] = await handler
    return result


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("request", nargs="?", default=REQUEST)
    parser.add_argument("--language", choices=LANGUAGES, default="sql")
    parser.add_argument("--llm", metavar="MODULE:CLASS:MODEL", help="an LLM of LlamaIndex")
    parser.add_argument("--index", default=".multiretriever/demo", help="folder of the index of the bundled catalog")
    options = parser.parse_args(argv)
    try:
        model = init_llm(options.llm) if options.llm else None
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
