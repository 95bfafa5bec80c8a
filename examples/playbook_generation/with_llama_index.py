"""A playbook from a requirement, as a LlamaIndex workflow: plan -> stage (side by side) -> collect and check.

Usage: python examples/playbook_generation/with_llama_index.py ["REQUIREMENT"] [--llm MODULE:CLASS[:MODEL]]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from llama_index.core.llms import LLM
from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step

from multiretriever.core import Catalog, Index, MultiRetriever, MultiRetrieverError
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.llama_index import achat_with, init_llm
from playbook_answers import PlaybookPlan, WrittenPlaybook, WrittenStage
from playbook_writer import PlaybookDrafter, PlaybookMaker, PlaybookWriter

REQUIREMENT = (
    "Onboarding a new engineer. Two weeks before the start everything is prepared: account, laptop and desk. "
    "On the first day she gets a badge and her second factor. "
    "Within the first month she attends a secure coding class and gets admin rights on the test servers."
)


class Progress(Event):
    """A line about what was done."""

    line: str


class StageWanted(Event):
    """A stage to fill."""

    plan: PlaybookPlan
    number: int


class StageDone(Event):
    """A stage was filled."""

    plan: PlaybookPlan
    written: WrittenStage


class MakePlaybook(Workflow):
    """Makes a playbook; each step reports what it did as a ``Progress`` on the stream."""

    def __init__(self, maker: PlaybookMaker) -> None:
        super().__init__(timeout=None)
        self._maker = maker

    @step
    async def plan(self, ctx: Context, ev: StartEvent) -> StageWanted | None:
        """Plans the stages and sends each on its way."""
        plan = await self._maker.aplan(ev.requirement)
        ctx.write_event_to_stream(Progress(line=f"plan: {', '.join(item.name for item in plan.stages)}"))
        for number in range(1, len(plan.stages) + 1):
            ctx.send_event(StageWanted(plan=plan, number=number))
        return None

    @step(num_workers=4)
    async def stage(self, ctx: Context, ev: StageWanted) -> StageDone:
        """Fills a stage."""
        # Stages that are filled side by side know nothing of each other; what appears twice is left out by the check.
        written = await self._maker.astage(ev.plan, ev.number)
        ctx.write_event_to_stream(Progress(line=written.progress))
        return StageDone(plan=ev.plan, written=written)

    @step
    async def check(self, ctx: Context, ev: StageDone) -> StopEvent | None:
        """Waits for all stages, puts them together and checks the whole."""
        done = ctx.collect_events(ev, [StageDone] * len(ev.plan.stages))
        if done is None:
            return None
        written = self._maker.finish(ev.plan, [item.written for item in done])
        ctx.write_event_to_stream(Progress(line=f"check: {len(written.check.hallucinated)} hallucinated names"))
        return StopEvent(result=written)


async def arun(request: str, retriever: MultiRetriever, llm: LLM | None = None) -> WrittenPlaybook:
    """Makes the playbook, by retrieval alone where there is no LLM, and reports the progress on stderr."""
    maker = PlaybookDrafter(retriever) if llm is None else PlaybookWriter(retriever, achat=achat_with(llm))
    handler = MakePlaybook(maker).run(requirement=request)
    async for event in handler.stream_events():
        if isinstance(event, Progress):
            print(event.line, file=sys.stderr)
    written: WrittenPlaybook = await handler
    return written


def run(request: str, retriever: MultiRetriever, llm: LLM | None = None) -> WrittenPlaybook:
    """Does ``arun`` to its end."""
    return asyncio.run(arun(request, retriever, llm))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Makes a playbook of the bundled catalog's workflows and catalog items.")
    parser.add_argument("request", nargs="?", default=REQUIREMENT, metavar="REQUIREMENT")
    parser.add_argument(
        "--llm",
        metavar="MODULE:CLASS:MODEL",
        help="an LLM, such as llama_index.llms.openai:OpenAI:gpt-4o-mini",
    )
    parser.add_argument("--index", default=".multiretriever/demo", help="folder of the index of the bundled catalog")
    options = parser.parse_args(argv)
    try:
        llm = init_llm(options.llm) if options.llm else None
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
