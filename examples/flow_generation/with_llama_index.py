"""A workflow from a requirement, as a LlamaIndex workflow: outline, then definition, table and inputs of each part, then check.

    python examples/flow_generation/with_llama_index.py "REQUIREMENT" [--llm llama_index.llms.openai:OpenAI:gpt-4o-mini]

Without --llm the first step drafts by retrieval alone instead, so that it runs without a model, a key or a network.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.llms import LLM
from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step

from flow_answers import FlowState, WrittenFlow
from flow_writer import FlowQuestions
from multiretriever.core import Catalog, Index, MultiRetriever, MultiRetrieverError
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.grounding import draft_flow
from multiretriever.grounding.dialogue import aconverse
from multiretriever.llama_index import achat_with, init_llm

REQUIREMENT = "Every day, look up incident tasks that do not have assignees and close them."


class Ask(Event):
    """There is another question."""

    writing: FlowState


class Done(Event):
    """All parts are there."""

    writing: FlowState


class Progress(Event):
    """What is being done."""

    line: str


class FlowWorkflow(Workflow):
    """One step that asks until the flow is done; the state says which kind of question is next."""

    def __init__(self, llm: LLM, questions: FlowQuestions, **options: Any) -> None:
        super().__init__(**options)
        self._chat, self._questions = achat_with(llm), questions

    @step
    async def begin(self, event: StartEvent) -> Ask:
        """Checks the requirement."""
        return Ask(writing=self._questions.start(event.requirement))

    @step
    async def ask(self, context: Context, event: Ask) -> Ask | Done:
        """Puts one question."""
        context.write_event_to_stream(Progress(line=event.writing.progress))
        dialogue = await asyncio.to_thread(self._questions.question, event.writing)
        await aconverse(dialogue, self._chat)  # faulty answers are sent back, at most three times
        writing = await asyncio.to_thread(self._questions.take, event.writing, dialogue)
        return Done(writing=writing) if writing.stage == "done" else Ask(writing=writing)

    @step
    async def check(self, event: Done) -> StopEvent:
        """Checks the whole."""
        return StopEvent(result=self._questions.finish(event.writing))


class DraftWorkflow(Workflow):
    """The offline form: a draft by the same retrieval."""

    def __init__(self, retriever: MultiRetriever, catalog: Catalog, **options: Any) -> None:
        super().__init__(**options)
        self._retriever, self._catalog = retriever, catalog

    @step
    async def draft(self, context: Context, event: StartEvent) -> StopEvent:
        """Drafts and checks."""
        made = await asyncio.to_thread(draft_flow, self._retriever, event.requirement, catalog=self._catalog)
        for part in made.parts:
            context.write_event_to_stream(Progress(line=f"{part.clause.text}: {part.step.id if part.step else 'no step'}"))
        return StopEvent(result=WrittenFlow(made.flow, made.check))


async def run(
    requirement: str,
    retriever: MultiRetriever,
    catalog: Catalog,
    *,
    llm: LLM | None = None,
    on_progress: Callable[[str], None] = lambda line: None,
) -> WrittenFlow:
    """Writes a flow. Every name in it exists; ``changes`` says what was changed for that."""
    questions = FlowQuestions(retriever, catalog=catalog)
    workflow = FlowWorkflow(llm, questions, timeout=None) if llm else DraftWorkflow(retriever, catalog, timeout=None)
    handler = workflow.run(requirement=requirement)
    async for event in handler.stream_events():
        if isinstance(event, Progress):
            on_progress(event.line)
    written: WrittenFlow = await handler
    return written


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requirement", nargs="?", default=REQUIREMENT)
    parser.add_argument("--llm", metavar="MODULE:CLASS:MODEL", help="an LLM of LlamaIndex")
    parser.add_argument("--index", default=".multiretriever/demo", help="folder of the index of the bundled catalog")
    options = parser.parse_args(argv)
    try:
        llm = init_llm(options.llm) if options.llm else None
        catalog = Catalog.from_path(IT_SERVICE)
        with Index.open(options.index, create=True) as index:
            index.sync(catalog, progress=sys.stderr.isatty())
            retriever = MultiRetriever(index)
            tell = lambda line: print(line, file=sys.stderr)  # noqa: E731
            written = asyncio.run(run(options.requirement, retriever, catalog, llm=llm, on_progress=tell))
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
