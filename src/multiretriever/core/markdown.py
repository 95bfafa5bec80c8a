"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def grid(head: Sequence[str], texts: int) -> list[str]:
    """Returns the head of a Markdown table, of which the first columns are text and the others numbers."""
    return [line(head), "|" + " --- |" * texts + " ---: |" * (len(head) - texts)]


def line(cells: Sequence[str]) -> str:
    """Returns a line of a Markdown table; what would end a cell is escaped."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
