"""The package's own words to chat models, kept as files."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def system_prompt(name: str) -> str:
    """Returns a system message by the name of its file below ``prompts``, without the suffix."""
    return files(__package__ or "").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")
