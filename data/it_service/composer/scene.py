"""What the steps of a story are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class UnfitError(Exception):
    """The acts do not fit the record at hand, or name something that the banks do not have."""


@dataclass(frozen=True)
class Record:
    """A record that acts are about: its table, the expression that names it at run time, and its noun."""

    table: str
    ref: str
    noun: str

    @property
    def pronoun(self) -> str:
        """The word for a second mention."""
        return "them" if self.table == "user" else "it"


@dataclass(frozen=True)
class Person:
    """A person or team that acts are about: ways to speak of it, and the expression."""

    says: tuple[str, ...]
    ref: str


@dataclass
class Node:
    """One step: what it does, ways to word it, and its block.

    Attributes:
        uid: Number by which expressions speak of the step before its place is known.
        kind: act, list, each, if, else, until.
        says: Wordings, as in the banks.
        nouns: For ``list``, the bare plurals.
    """

    uid: int
    definition: str
    inputs: dict[str, Any]
    says: list[str]
    kind: str = "act"
    record: Record | None = None
    person: Person | None = None
    body: list[Node] = field(default_factory=list)
    nouns: list[str] = field(default_factory=list)
    group: str = ""


@dataclass(frozen=True)
class Scene:
    """What acts can refer to at a point of the flow."""

    record: Record | None
    top: Record | None
    person: Person | None = None
    aliases: dict[str, tuple[int, str, str]] = field(default_factory=dict)
