"""``multiretriever status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiretriever.cli import options
from multiretriever.cli.output import one_line, show_json, show_table, write

if TYPE_CHECKING:
    from multiretriever.core.health import IndexStatus


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
    from multiretriever.core.health import index_status

    load_plugins(plugin)
    with Index.open(location, encoder=encoder, name=name) as index:
        found = index_status(index)
    if as_json:
        show_json(found.to_dict())
    else:
        _show(found)


def _show(found: IndexStatus) -> None:
    facts = {
        "location": found.location,
        "encoder": f"{found.encoder} ({found.dimension} dimensions, fingerprint {found.fingerprint})",
        "revision": f"{found.revision} of {found.updated}",
        "complete": "yes" if found.complete else "no: the last sync was interrupted; run `multiretriever index` again",
    }
    write("\n".join(f"{name:<9} {one_line(value)}" for name, value in facts.items()) + "\n")
    show_table(("type", "elements", "filters"), [(n, count, ", ".join(found.filters[n])) for n, count in found.counts.items()])
