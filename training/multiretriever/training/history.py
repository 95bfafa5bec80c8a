"""What the folder of a checkpoint tells of how it came to be: tuned by a recipe, or fused of two others."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CARD_FILE = "README.md"
TRAINING_FILE = "training.json"
FUSION_FILE = "fusion.json"
# Of a tuned checkpoint the base, of a fused one what its parts were tuned from.
_BASE_KEYS = {TRAINING_FILE: "base", FUSION_FILE: "origin"}
_HEADING = re.compile(r"^(?=#{2,5} )", re.MULTILINE)


@dataclass(frozen=True)
class History:
    """How a checkpoint came to be.

    Attributes:
        base: Name of what it was tuned from.
        text: Data, recipes, figures and limits, as Markdown with headings from the second level on.
    """

    base: str
    text: str


def history_of(folder: Path) -> History | None:
    """Returns what a checkpoint tells of itself; None where it was neither tuned by a recipe nor fused of such."""
    for name, key in _BASE_KEYS.items():
        try:
            base = json.loads((folder / name).read_text(encoding="utf-8"))[key]
            _, heading, text = (folder / CARD_FILE).read_text(encoding="utf-8").partition("\n## ")
        except (OSError, ValueError, KeyError, TypeError):  # not there, or not from us
            continue
        if base and heading:
            return History(str(base), f"## {text}")
    return None


def fusion_card(name: str, facts: Mapping[str, Any], parts: Sequence[tuple[str, History | None]]) -> str:
    """Returns the README of a checkpoint whose weights were fused.

    Args:
        name: Its name.
        facts: The content of ``fusion.json``.
        parts: Names of the two with what they say of themselves; one that was not tuned says nothing.
    """
    share = facts["tuned_share"]
    lines = [
        f"# {name}",
        "",
        "An encoder for retrieval, fused by `multiretriever fuse`.",
        "",
        "## Weights",
        "",
        f"{share:g} of the weights of {facts['tuned']}, and {1 - share:g} of those of {facts['base']}.",
    ]
    for part, history in parts:
        if history is not None:
            lines += ["", f"## {part}, tuned from {history.base}", "", _HEADING.sub("#", history.text).rstrip()]
    return "\n".join(lines) + "\n"
