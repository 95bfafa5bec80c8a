"""``multiretriever index``, ``status`` and ``verify``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from multiretriever.cli import options
from multiretriever.cli.output import clean, note, one_line, show_json, show_table, write

if TYPE_CHECKING:
    from multiretriever.core.index.health import IndexStatus
    from multiretriever.core.index.sync import SyncReport

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
            _show_report(report, len(catalog), opened.location)


def _show_report(report: SyncReport, count: int, location: str) -> None:
    numbers = ("embedded", "updated", "deleted", "unchanged")
    show_table(("type", *numbers), [(kind, *(getattr(item, what) for what in numbers)) for kind, item in report.types.items()])
    if report.rebuilt:
        note(f"built anew for another encoder or another rule of text: {', '.join(report.rebuilt)}")
    note(f"{location} holds {count} elements (revision {report.revision})")


def status(
    location: options.Location = options.DEFAULT_LOCATION,
    encoder: options.Encoder = None,
    name: options.Name = options.DEFAULT_NAME,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Show what an index holds.

    Its encoder, its elements by type, and the names that --where takes.
    """
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.core import Index
    from multiretriever.core.index.health import index_status

    load_plugins(plugin)
    with Index.open(location, encoder=encoder, name=name) as index:
        found = index_status(index)
    if as_json:
        show_json(found.to_dict())
    else:
        _show_status(found)


def _show_status(found: IndexStatus) -> None:
    facts = {
        "location": found.location,
        "encoder": f"{found.encoder} ({found.dimension} dimensions, fingerprint {found.fingerprint})",
        "revision": f"{found.revision} of {found.updated}",
        "complete": "yes" if found.complete else "no: the last sync was interrupted; run `multiretriever index` again",
    }
    write("\n".join(f"{name:<9} {one_line(value)}" for name, value in facts.items()) + "\n")
    show_table(("type", "elements", "filters"), [(n, count, ", ".join(found.filters[n])) for n, count in found.counts.items()])


def verify(
    location: options.Location = options.DEFAULT_LOCATION,
    encoder: options.Encoder = None,
    name: options.Name = options.DEFAULT_NAME,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Check an index by using it.

    Every element must be readable, and a sample of each type must be found by its own vector. What is wrong is listed, and the
    exit code is then 1.
    """
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.core import Index
    from multiretriever.core.index.health import verify_index

    load_plugins(plugin)
    with Index.open(location, encoder=encoder, name=name) as index:
        problems = verify_index(index)
        where = index.location
    if as_json:
        show_json({"location": where, "ok": not problems, "problems": problems})
    else:
        write("\n".join(clean(f"problem: {problem}") for problem in problems) or clean(f"{where} is sound"))
    if problems:
        raise typer.Exit(1)
