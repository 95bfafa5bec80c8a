"""Playbooks: guided processes of ordered stages, each with the flows that run in it and the forms that people fill in.

In YAML a playbook looks as a flow does: one document each, names of the catalog by id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import ConfigDict, StringConstraints

from multiretriever.core.errors import Problem, ProblemsError
from multiretriever.core.records import problems_of
from multiretriever.core.yaml_io import Document, dump_yaml, parse_yaml, read_text

ActivityKind = Literal["flow", "form"]
ELEMENT_TYPES: dict[ActivityKind, str] = {"flow": "workflow", "form": "catalog_item"}
"""Element type whose ids an activity of each kind has."""


class PlaybookError(ProblemsError):
    """A playbook was refused."""

    subject = "playbook"


MAX_STAGES = 100
MAX_ACTIVITIES = 1_000
_Given = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]


class _Part(pydantic.BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Activity(_Part):
    """One thing that is done in a stage.

    Attributes:
        kind: ``flow``, a stored workflow that runs, or ``form``, a catalog item that somebody fills in.
        id: Id of the workflow or the catalog item.
        why: What it is there for, in words.
        after: Ids of earlier activities of the playbook that must be done before it.
    """

    kind: ActivityKind
    id: _Given
    why: str = ""
    after: tuple[_Given, ...] = ()

    @property
    def element_type(self) -> str:
        """Element type that its id is of."""
        return ELEMENT_TYPES[self.kind]


class Stage(_Part):
    """One stage of a playbook.

    Attributes:
        name: Name as people read it.
        purpose: What it is for, in words.
        activities: What is done in it, in order.
        missing: What it needs and the catalog does not have, in words; empty where nothing is known to be missing.
    """

    name: _Given
    purpose: str = ""
    activities: Annotated[tuple[Activity, ...], pydantic.Field(max_length=MAX_ACTIVITIES)] = ()
    missing: str = ""


class Playbook(_Part):
    """A guided process: what it is for, and its stages in order.

    Attributes:
        name: Name as the system knows it.
        label: Name as people read it.
        requirement: What somebody asked for, in words.
        description: What it does, in words.
        stages: Its stages, in order.
    """

    name: str = ""
    label: str = ""
    requirement: str = ""
    description: str = ""
    stages: Annotated[tuple[Stage, ...], pydantic.Field(max_length=MAX_STAGES)] = ()

    @pydantic.model_validator(mode="after")
    def _check_order(self) -> Playbook:
        before: set[str] = set()
        for number, activity in self.activities():
            unknown = [item for item in activity.after if item not in before]
            if unknown:
                raise ValueError(f"stage {number}: {activity.id!r} comes after {unknown[0]!r}, which is no earlier activity")
            before.add(activity.id)
        return self

    def activities(self) -> Iterator[tuple[int, Activity]]:
        """Yields every activity with the number of its stage, from 1."""
        return ((number, item) for number, stage in enumerate(self.stages, start=1) for item in stage.activities)

    @classmethod
    def from_yaml(cls, text: str, *, source: str = "<text>") -> Playbook:
        """Reads a YAML document with one playbook.

        Raises:
            PlaybookError: It is not YAML, not a playbook, or not one.
        """
        playbooks = parse_playbooks(text, source=source)
        if len(playbooks) != 1:
            raise PlaybookError([Problem(f"expected one playbook, got {len(playbooks)}", source)])
        return playbooks[0]

    def to_yaml(self) -> str:
        """Writes the playbook; ``from_yaml`` returns the same playbook."""
        return dump_yaml(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Returns the playbook as plain values, without those that were not given."""
        return self.model_dump(mode="json", exclude_defaults=True)


def parse_playbooks(text: str, *, source: str = "<text>") -> list[Playbook]:
    """Reads a YAML stream of playbooks, one a document.

    Raises:
        PlaybookError: Something is wrong; the error lists every problem with its line, and nothing is read.
    """
    documents = parse_yaml(text, source)
    if isinstance(documents, Problem):
        raise PlaybookError([documents])
    if not documents:
        raise PlaybookError([Problem("expected a playbook, got an empty file", source)])
    problems: list[Problem] = []
    playbooks = [item for document in documents if (item := _playbook(document, source, problems)) is not None]
    if problems:
        raise PlaybookError(problems)
    return playbooks


def _playbook(document: Document, source: str, problems: list[Problem]) -> Playbook | None:
    try:
        return Playbook.model_validate(document.value)
    except pydantic.ValidationError as error:
        problems.extend(problems_of(error, source=source, line=document.line))
        return None


def read_playbooks(path: str | Path) -> list[Playbook]:
    """Reads the playbooks of a YAML file.

    Raises:
        PlaybookError: Something is wrong; the error lists every problem, and nothing is read.
    """
    text = read_text(Path(path))
    if isinstance(text, Problem):
        raise PlaybookError([text])
    return parse_playbooks(text, source=str(path))


def write_playbooks(path: str | Path, playbooks: Iterable[Playbook]) -> None:
    """Writes playbooks to one YAML file, one a document."""
    Path(path).write_text("---\n".join(item.to_yaml() for item in playbooks), encoding="utf-8")
