"""The README of a tuned checkpoint: what it was made of, how, and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from multiretriever.core.markdown import grid, line
from multiretriever.training.pairs.report import by_type
from multiretriever.training.recipe import Recipe

if TYPE_CHECKING:
    from multiretriever.training.tuning.run import Tuned

_CARD = """# {name}

An encoder for retrieval, tuned from {base} by multiretriever. {instructions}

{note}
## Data

{data}

Pairs of a query and an element that answers it; how they are made is told in the documentation of `multiretriever pairs`.

## Recipe

{steps:,} optimizer steps in {minutes:.0f} minutes, by `multiretriever train recipe.yaml` with this file:

```yaml
{recipe}```

{dev}
## Limits

It was tuned to find elements of catalogs like those above, in their languages. How well it finds those of another catalog is told
by `multiretriever evaluate` alone, with queries whose answers are known.
"""
_INSTRUCTED = "Queries are read with the instructions of `instructions.yaml` before them; `multiretriever` puts them there."
_BARE = "Queries are read as they are, without instructions."


def write_training_card(folder: Path, recipe: Recipe, tuned: Tuned) -> None:
    """Writes ``README.md`` into the folder of a checkpoint."""
    rows = [
        [report.name, tuned.licences.get(report.name, ""), row["element_type"], f"{row['queries']:,}", f"{row['pairs']:,}"]
        for report in tuned.reports
        for row in by_type([report])
    ]
    text = _CARD.format(
        name=tuned.folder.name,
        base=tuned.base,
        instructions=_INSTRUCTED if recipe.data.instructions else _BARE,
        note=f"{recipe.note.strip()}\n" if recipe.note else "",
        data=_table(["dataset", "licence", "element type", "queries", "pairs made"], rows, texts=3),
        steps=tuned.steps,
        minutes=tuned.seconds / 60,
        recipe=recipe.to_yaml(),
        dev=_dev(recipe, tuned),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _dev(recipe: Recipe, tuned: Tuned) -> str:
    if not tuned.dev:
        return ""
    step, figures = tuned.dev[-1]
    rows = [[name, f"{value:.3f}"] for name, value in figures.items()]
    table = _table(["dev set / element type", "recall"], rows, texts=1)
    mixed = "Measured before the weights were mixed with the base's.\n\n" if recipe.tuned_share < 1 else ""
    return f"## Dev recall, dense, at step {step}\n\n{mixed}{table}\n"


def _table(head: list[str], rows: list[list[str]], *, texts: int) -> str:
    return "\n".join([*grid(head, texts), *map(line, rows)])
