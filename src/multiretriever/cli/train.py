"""``multiretriever train``: tune an encoder by a recipe."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multiretriever.cli import options
from multiretriever.cli.output import note, show_json, write
from multiretriever.cli.progress import flows_read

if TYPE_CHECKING:
    from multiretriever.training.recipe import Recipe
    from multiretriever.training.tuning.run import Tuned

RecipeArgument = Annotated[
    str,
    typer.Argument(metavar="RECIPE", help="A recipe file, or the name of one that comes with the package: --list shows them."),
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data", metavar="DATASET", help="Dataset folder to train on, or FOLDER@SPLIT, beside the recipe's. Repeatable."
    ),
]
Dev = Annotated[
    list[str] | None,
    typer.Option(
        "--dev", metavar="DATASET", help="Dataset folder to choose the best checkpoint on, or FOLDER@SPLIT. Repeatable."
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the checkpoint goes; new or empty.")]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Another value for the recipe, such as training.steps=500. Repeatable."),
]
Show = Annotated[bool, typer.Option("--show", help="Show the recipe with these options, and train nothing.")]


def train(
    recipe: RecipeArgument,
    output: Output = Path("build/encoder"),
    data: Data = None,
    dev: Dev = None,
    values: Values = None,
    show: Show = False,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Tune an encoder on flows, catalogs and written queries.

    A run that was cut off goes on from its last checkpoint when the same command is given again. The result is a checkpoint of
    sentence-transformers that carries its instructions, its recipe and a model card; --encoder FOLDER of the other commands takes
    it as it is.
    """
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.training.recipe import read_recipe
    from multiretriever.training.tuning import train as run

    load_plugins(plugin)
    chosen = _changed(read_recipe(recipe), data, dev, values)
    if show:
        write(chosen.to_yaml().rstrip("\n"))
        return
    # The trainer prints its losses; results alone go to standard output.
    with redirect_stdout(sys.stderr), flows_read(shown=sys.stderr.isatty() and not as_json) as on_flow:
        tuned = run(chosen, output, on_flow=on_flow, on_advice=lambda text: note(f"warning: {text}"))
    _report(tuned, as_json=as_json)


def _changed(recipe: Recipe, data: list[str] | None, dev: list[str] | None, values: list[str] | None) -> Recipe:
    from multiretriever.core.errors import ParameterError

    changes: dict[str, Any] = {}
    for text in values or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise ParameterError(f"--set {text!r}: NAME=VALUE is due, such as training.steps=500")
        changes[name] = _value(value)
    if data:
        changes["data.datasets"] = (*recipe.data.datasets, *data)
    if dev:
        changes["dev.datasets"] = (*recipe.dev.datasets, *dev)
    return recipe.with_values(changes)


def _value(text: str) -> Any:
    """Returns what JSON means by a text; the text itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _report(tuned: Tuned, *, as_json: bool) -> None:
    figures = tuned.dev[-1][1] if tuned.dev else {}
    if as_json:
        show_json(
            {"folder": str(tuned.folder), "pairs": tuned.pairs, "steps": tuned.steps, "seconds": tuned.seconds, "dev": figures}
        )
        return
    for name, value in figures.items():
        write(f"{value:.3f}  {name}")
    note(f"{tuned.steps:,} steps on {tuned.pairs:,} pairs in {tuned.seconds / 60:.1f} minutes; the encoder is in {tuned.folder}")
