"""``multiretriever verify``."""

from __future__ import annotations

import typer

from multiretriever.cli import options
from multiretriever.cli.output import clean, show_json, write


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
    from multiretriever.core.health import verify_index

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
