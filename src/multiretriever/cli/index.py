"""``multiretriever index``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from multiretriever.cli import options
from multiretriever.cli.output import note, show_json, show_table

if TYPE_CHECKING:
    from multiretriever.core import SyncReport

Catalogs = Annotated[
    list[str],
    typer.Argument(
        metavar="CATALOG",
        help="Files (.yaml, .json, .jsonl, .csv, .sqlite; OpenAPI documents and lists of tools are recognised), folders, "
        "dataset folders, or a database's SQLAlchemy URL.",
    ),
]
AllowShrink = Annotated[bool, typer.Option("--allow-shrink", help="Go on when most elements of a type would be deleted.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no table.")]


def index(
    catalogs: Catalogs,
    location: options.Location = options.DEFAULT_LOCATION,
    encoder: options.Encoder = None,
    name: options.Name = options.DEFAULT_NAME,
    allow_shrink: AllowShrink = False,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    quiet: Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make the index hold just these catalogs.

    All CATALOGs together are the whole catalog: only what is new or changed is embedded, and what none of them holds any more
    is deleted. It can be interrupted and run again at any time, to the same end.
    """
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.core import Catalog, Index

    load_plugins(plugin)
    catalog = Catalog.from_path(*catalogs)
    with Index.open(location, encoder=encoder, create=True, name=name) as opened:
        report = opened.sync(catalog, allow_shrink=allow_shrink, progress=not quiet and sys.stderr.isatty())
        if as_json:
            show_json({"location": opened.location, **asdict(report)})
        elif not quiet:
            _show(report, len(catalog), opened.location)


def _show(report: SyncReport, count: int, location: str) -> None:
    numbers = ("embedded", "updated", "deleted", "unchanged")
    show_table(("type", *numbers), [(kind, *(getattr(item, what) for what in numbers)) for kind, item in report.types.items()])
    if report.rebuilt:
        note(f"built anew for another encoder or another rule of text: {', '.join(report.rebuilt)}")
    note(f"{location} holds {count} elements (revision {report.revision})")
