"""``multiretriever demo``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from multiretriever.cli import options
from multiretriever.cli.output import clean, note, show_json, write
from multiretriever.cli.search_commands import show_hits

if TYPE_CHECKING:
    from multiretriever.core import Catalog, MultiRetriever
    from multiretriever.core.generation import WrittenFlow
    from multiretriever.grounding import FlowCheck

REQUIREMENT = "Every day, look up incident tasks that do not have assignees and close them."
DEFAULT_LOCATION = ".multiretriever/demo"
_SHOWN = {"step": 5, "table": 5}
_FIELDS_SHOWN = 8
Requirement = Annotated[str, typer.Argument(metavar="[REQUIREMENT]", help="What a workflow is to do, in English.")]
Demo = Annotated[str, typer.Option("--index", metavar="LOCATION", help="Folder for the index of the bundled catalog.")]
Model = Annotated[
    str | None,
    typer.Option("--llm", metavar="PROVIDER:MODEL", help="Let a chat model write the flow, such as openai:gpt-4o-mini."),
]


def demo(
    requirement: Requirement = REQUIREMENT,
    location: Demo = DEFAULT_LOCATION,
    llm: Model = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Show the whole of it on the bundled catalog of an IT service desk.

    Indexes the catalog (only the first time takes seconds), retrieves steps, tables and fields for the requirement, and drafts a
    flow in which every name exists: by rules, or with --llm by a chat model, part by part; names that it makes up are mended and
    told. Exits with 1 if a name in the flow does not exist.
    """
    from multiretriever.core import Catalog, Grounding, Index, MultiRetriever
    from multiretriever.core.catalog import IT_SERVICE

    catalog = Catalog.from_path(IT_SERVICE)
    with Index.open(location, create=True) as index:
        report = index.sync(catalog, progress=sys.stderr.isatty())
        note(f"{len(catalog)} elements in {index.location}, {report.total('embedded')} of them embedded now")
        retriever = MultiRetriever(index)
        found = retriever.ground(requirement, _SHOWN)
        table = found["table"][0].element.name
        # Which fields are needed depends on the table: the paper's retriever is told it, and so is this one.
        fields = retriever.retrieve(requirement, "field", k=_FIELDS_SHOWN, context={"table": table}, where={"table": table})
        written = _write(retriever, catalog, requirement, llm)
    if as_json:
        whole = Grounding(requirement, {**found.hits, "field": fields})
        told = {"findings": [str(item) for item in written.check.findings], "changes": [str(item) for item in written.changes]}
        show_json({**whole.to_dict(), "flow": written.flow.to_dict(), "valid": written.check.valid, **told})
    else:
        write(f"Requirement: {clean(requirement)}")
        for kind, hits in found.items():
            write(f"\n{kind}")
            show_hits(hits)
        write(f"\nfield of {clean(table)}, its parents included")
        show_hits(fields)
        write(f"\nflow\n{clean(written.flow.to_yaml())}")
        for change in written.changes:
            write(f"changed: {clean(str(change))}")
        write(_verdict(written.check))
    if not written.check.valid:
        raise typer.Exit(1)


def _write(retriever: MultiRetriever, catalog: Catalog, requirement: str, llm: str | None) -> WrittenFlow:
    from multiretriever.core.generation import FlowQuestions, WrittenFlow, write_flow

    if llm is None:
        from multiretriever.core.drafting import draft_flow

        draft = draft_flow(retriever, requirement, catalog=catalog)
        return WrittenFlow(draft.flow, draft.check)
    from multiretriever.langchain import chat_with, init_model

    chat, questions = chat_with(init_model(llm)), FlowQuestions(retriever, catalog=catalog)
    return write_flow(chat, questions, requirement, on_progress=lambda state: note(clean(state.progress)))


def _verdict(check: FlowCheck) -> str:
    if check.valid:
        return f"Valid: every one of its {check.steps} steps, its trigger, inputs, tables and fields is in the catalog."
    return "Not valid:\n" + "\n".join(f"  {clean(str(finding))}" for finding in check.findings)
