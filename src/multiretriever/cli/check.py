"""``multiretriever check``."""

from __future__ import annotations

from typing import Annotated

import typer

from multiretriever.cli import options
from multiretriever.cli.output import clean, show_json, write

Split = Annotated[str | None, typer.Option("--split", metavar="NAME", help="Only the flows and queries of this split.")]


def check(
    datasets: options.Datasets,
    split: Split = None,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Check the flows and written queries of datasets against their catalogs.

    Every definition, input, table and field must exist, blocks and orders must be right, and every answer of a query must be in
    the catalog. What is wrong is listed, and the exit code is then 1.
    """
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.core.datasets import check_dataset
    from multiretriever.core.evaluation import open_dataset

    load_plugins(plugin)
    found = {}
    for path in datasets:
        dataset = open_dataset(path)
        found[str(path)] = list(check_dataset(dataset, split))
    if as_json:
        show_json({"ok": not any(found.values()), "problems": found})
    else:
        lines = [f"{path}: {problem}" for path, problems in found.items() for problem in problems]
        write("\n".join(map(clean, lines or [f"{path} is sound" for path in found])))
    if any(found.values()):
        raise typer.Exit(1)
