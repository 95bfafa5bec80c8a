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
from multiretriever.core.generation.playbook import PlaybookMaker
from multiretriever.core.generation.playbook_parts import PlaybookPlan, WrittenPlaybook, WrittenStage
from multiretriever.core.generation.playbook_rules import PlaybookRules
from multiretriever.core.generation.playbook_writer import PlaybookWriter
from multiretriever.llama_index import achat_with, init_llm

REQUIREMENT = (
    "Onboarding a new engineer. Two weeks before the start everything is prepared: account, laptop and desk. "
    "On the first day she gets a badge and her second factor. "
    "Within the first month she attends a secure coding class and gets admin rights on the test servers."
)


class Progress(Event):
    """A line about what was done."""

    line: str


class StageDue(Event):
    """A stage is to be filled."""

    plan: PlaybookPlan
    number: int


class StageDone(Event):
    """A stage was filled."""

    plan: PlaybookPlan
    written: WrittenStage


class MakePlaybook(Workflow):
    """Makes a playbook; each step says what it did as a ``Progress`` on the stream."""

    def __init__(self, maker: PlaybookMaker) -> None:
        super().__init__(timeout=None)
        self._maker = maker

    @step
    async def plan(self, ctx: Context, ev: StartEvent) -> StageDue | None:
        """Plans the stages and sends each on its way."""
        plan = await self._maker.aplan(ev.requirement)
        ctx.write_event_to_stream(Progress(line=f"plan: {', '.join(item.name for item in plan.stages)}"))
        for number in range(1, len(plan.stages) + 1):
            ctx.send_event(StageDue(plan=plan, number=number))
        return None

    @step(num_workers=4)
    async def stage(self, ctx: Context, ev: StageDue) -> StageDone:
        """Fills a stage."""
        # Stages that are filled side by side know nothing of each other; what stands twice is left out by the check.
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
        ctx.write_event_to_stream(Progress(line=f"check: {len(written.check.made_up)} made-up names"))
        return StopEvent(result=written)


async def arun(request: str, maker: PlaybookMaker) -> WrittenPlaybook:
    handler = MakePlaybook(maker).run(requirement=request)
    async for event in handler.stream_events():
        if isinstance(event, Progress):
            print(event.line, file=sys.stderr)
    written: WrittenPlaybook = await handler
    return written


def run(request: str, llm: LLM | None = None, *, catalog: Catalog | None = None) -> WrittenPlaybook:
    """Makes the playbook, by rules where there is no LLM, and tells the progress on stderr."""
    known = catalog or Catalog.from_path(IT_SERVICE)
    known = Catalog(item for item in known if item.element_type in ("workflow", "catalog_item"))
    with Index.from_catalog(known) as index:
        retriever = MultiRetriever(index)
        maker = PlaybookRules(retriever) if llm is None else PlaybookWriter(retriever, achat=achat_with(llm))
        return asyncio.run(arun(request, maker))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Makes a playbook of the bundled catalog's workflows and catalog items.")
    parser.add_argument("request", nargs="?", default=REQUIREMENT, metavar="REQUIREMENT")
    parser.add_argument("--llm", metavar="MODULE:CLASS:MODEL", help="an LLM, such as llama_index.llms.openai:OpenAI:gpt-4o-mini")
    options = parser.parse_args(argv)
    try:
        written = run(options.request, init_llm(options.llm) if options.llm else None)
    except MultiRetrieverError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(written.playbook.to_yaml(), end="")
    for line in (*written.changes, *written.check.findings):
        print(f"# {line}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
