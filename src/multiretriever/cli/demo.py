"""``multiretriever demo``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multiretriever.cli import options
from multiretriever.cli.output import clean, note, show_json, show_table, write

if TYPE_CHECKING:
    from multiretriever.core import Hit
    from multiretriever.grounding import Draft
    from multiretriever.grounding.draft import DraftPart

REQUIREMENT = "Every day, look up incident tasks that do not have assignees and close them."
DEFAULT_LOCATION = ".multiretriever/demo"
Requirement = Annotated[str, typer.Argument(metavar="[REQUIREMENT]", help="What a workflow is to do.")]
Demo = Annotated[str, typer.Option("--index", metavar="LOCATION", help="Folder for the index of the bundled catalog.")]


def demo(
    requirement: Requirement = REQUIREMENT,
    location: Demo = DEFAULT_LOCATION,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Show everything on the bundled catalog of an IT service desk.

    Indexes the catalog (only the first time takes seconds), retrieves a step, its table and fields for each clause of the
    requirement, and drafts a flow of them in which every name exists. Exits with 1 if a name in it does not exist.
    """
    from multiretriever.core import Catalog, Index, MultiRetriever
    from multiretriever.core.catalog import IT_SERVICE
    from multiretriever.grounding import draft_flow

    catalog = Catalog.from_path(IT_SERVICE)
    with Index.open(location, create=True) as index:
        report = index.sync(catalog, progress=sys.stderr.isatty())
        note(f"{len(catalog)} elements in {index.location}, {report.total('embedded')} of them embedded now")
        draft = draft_flow(MultiRetriever(index), requirement, catalog=catalog)
    if as_json:
        show_json(_values(draft))
    else:
        _show(draft)
    if not draft.check.valid:
        raise typer.Exit(1)


def _hits(part: DraftPart) -> list[Hit]:
    return [hit for hit in (part.step, part.table, *part.fields) if hit]


def _values(draft: Draft) -> dict[str, Any]:
    return {
        "requirement": draft.flow.requirement,
        "clauses": [{**vars(part.clause), "hits": [hit.to_dict() for hit in _hits(part)]} for part in draft.parts],
        "flow": draft.flow.to_dict(),
        "valid": draft.check.valid,
        "findings": [str(finding) for finding in draft.check.findings],
    }


def _show(draft: Draft) -> None:
    write(f"Requirement: {clean(draft.flow.requirement)}")
    for part in draft.parts:
        write(f"\n{clean(part.clause.text)}")
        rows = [(hit.element.element_type, hit.score, hit.id, hit.element.label, hit.element.description) for hit in _hits(part)]
        if rows:
            show_table(("type", "score", "id", "label", "description"), rows, flexible=(3, 4))
    write(f"\nflow\n{clean(draft.flow.to_yaml())}")
    if draft.check.valid:
        check = draft.check
        counts = ((check.steps, "step"), (check.tables, "table"), (check.fields, "field"))
        names = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)
        write(f"Every name is in the catalog ({names}). Whether the flow does what was meant, a person has to say.")
    else:
        write("\n".join(["Not valid:", *(f"  {clean(str(finding))}" for finding in draft.check.findings)]))
