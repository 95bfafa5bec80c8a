"""What a chat model answers while it writes a playbook: the forms, their faults, and mending what is left of those."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import pydantic
from pydantic import ConfigDict, Field

from multiretriever.core.catalog import Catalog
from multiretriever.grounding.flow_check import Change, nearest_name
from playbook_check import PlaybookCheck
from playbooks import ELEMENT_TYPES, Activity, ActivityKind, Playbook, Stage

MAX_STAGES = 20
MAX_ACTIVITIES = 12
_LONGEST_NAME = 120
_LONGEST_TEXT = 600
_WORDS: dict[ActivityKind, str] = {"flow": "workflow", "form": "catalog item"}
_KINDS: dict[str, ActivityKind] = {"flow": "flow", "form": "form"}
_KINDS |= {"workflow": "flow", "catalog_item": "form", "catalog item": "form", "item": "form"}


class StageIdea(pydantic.BaseModel):
    """One stage of an outline."""

    name: str = Field(description="name of the stage, a few words")
    purpose: str = Field(description="what is to be reached in it, one sentence")


class PlaybookOutline(pydantic.BaseModel):
    """The outline of a playbook: its stages, in order."""

    label: str = Field(default="", description="title of the playbook, a few words")
    description: str = Field(default="", description="what the playbook does, one sentence")
    stages: list[StageIdea] = Field(description="the stages, in order")


class Choice(pydantic.BaseModel):
    """One activity that was chosen for a stage."""

    kind: str = Field(description="flow for a workflow, form for a catalog item")
    id: str = Field(description="id of the workflow or the catalog item, as it is listed")
    why: str = Field(default="", description="what it is there for, a few words")
    after: list[str] = Field(default_factory=list, description="ids of activities of this stage that must be done before it")


class StageChoice(pydantic.BaseModel):
    """The activities of a stage, in order, or what is missing for it."""

    activities: list[Choice] = Field(description="the activities, in order; empty where nothing that is listed fits")
    missing: str = Field(default="", description="what the stage needs and nothing that is listed does; empty otherwise")


class _Held(pydantic.BaseModel):
    # Plain values, so that graphs and workflows can keep them in their states and events.
    model_config = ConfigDict(frozen=True)


class PlannedStage(_Held):
    """A stage without its activities.

    Attributes:
        name: Its name.
        purpose: What it is for.
    """

    name: str
    purpose: str

    @property
    def words(self) -> str:
        """Name and purpose as one text; the name alone only where there is no more."""
        return f"{self.name}: {self.purpose}" if self.purpose else self.name


class PlaybookPlan(_Held):
    """A playbook without activities.

    Attributes:
        requirement: What was asked for.
        label: Title of the playbook.
        description: What it does.
        stages: Its stages, in order.
        changes: What was changed in the outline.
    """

    requirement: str
    label: str = ""
    description: str = ""
    stages: tuple[PlannedStage, ...]
    changes: tuple[Change, ...] = ()


class WrittenStage(_Held):
    """A stage with its activities.

    Attributes:
        number: Its place in the playbook, from 1.
        stage: The stage.
        changes: What was changed in what was chosen for it.
    """

    number: int
    stage: Stage
    changes: tuple[Change, ...] = ()

    @property
    def progress(self) -> str:
        """What is in it, in one line."""
        chosen = ", ".join(item.id for item in self.stage.activities) or "nothing"
        return f"stage {self.number} ({self.stage.name}): {chosen}"


@dataclass(frozen=True)
class WrittenPlaybook:
    """A playbook that was generated.

    Attributes:
        playbook: The playbook.
        check: The result of checking it against the catalog; every id in it exists.
        changes: What was changed in what was generated.
    """

    playbook: Playbook
    check: PlaybookCheck
    changes: tuple[Change, ...] = ()


def outline_faults(outline: PlaybookOutline) -> tuple[str, ...]:
    """Returns what is wrong with an outline: no stages, too many, blank or repeated names."""
    faults = [] if outline.stages else ["the outline has no stages"]
    if len(outline.stages) > MAX_STAGES:
        faults.append(f"the outline has {len(outline.stages)} stages; expected at most {MAX_STAGES}")
    seen: set[str] = set()
    for number, stage in enumerate(outline.stages, start=1):
        name = stage.name.strip()
        if not 0 < len(name) <= _LONGEST_NAME or not 0 < len(stage.purpose.strip()) <= _LONGEST_TEXT:
            faults.append(
                f"stage {number}: expected a name of 1 to {_LONGEST_NAME} characters, a purpose of 1 to {_LONGEST_TEXT}"
            )
        if name and name.lower() in seen:
            faults.append(f"stage {number}: an earlier stage has the same name")
        seen.add(name.lower())
    return tuple(faults)


def mend_outline(requirement: str, outline: PlaybookOutline) -> PlaybookPlan:
    """Returns the plan of an outline, without the faults that are left after the last trial."""
    changes: list[Change] = []
    kept = outline.stages[:MAX_STAGES]
    if len(kept) < len(outline.stages):
        changes.append(Change("outline", "room for stages after number", str(MAX_STAGES), ""))
    seen: set[str] = set()
    stages = [_mend_stage(stage, f"stage {number}", seen, changes) for number, stage in enumerate(kept, start=1)]
    label, description = outline.label.strip()[:_LONGEST_NAME], outline.description.strip()[:_LONGEST_TEXT]
    return PlaybookPlan(
        requirement=requirement, label=label, description=description, stages=tuple(stages), changes=tuple(changes)
    )


def _mend_stage(stage: StageIdea, where: str, seen: set[str], changes: list[Change]) -> PlannedStage:
    name = stage.name.strip()[:_LONGEST_NAME] or where
    if name.lower() in seen:
        changes.append(Change(where, "second stage of the name", name, f"{name} ({where})"))
        name = f"{name} ({where})"
    seen.add(name.lower())
    return PlannedStage(name=name, purpose=stage.purpose.strip()[:_LONGEST_TEXT])


@dataclass(frozen=True)
class _Named:
    """What the id of a choice names: an element of a kind that exists, or nothing."""

    kind: ActivityKind
    id: str | None


def stage_faults(choice: StageChoice, catalog: Catalog, taken: Collection[str]) -> tuple[str, ...]:
    """Returns what is wrong with the activities of a stage.

    Args:
        choice: The answer.
        catalog: What there is.
        taken: Ids of earlier stages.
    """
    faults: list[str] = []
    before: set[str] = set()
    for item in choice.activities:
        named = _named(item, catalog)
        words = _WORDS[named.kind]
        if named.id is None:
            faults.append(f"there is no {words} {item.id!r}")
        elif named.id in taken or named.id in before:
            faults.append(f"{item.id!r} is in the playbook already; expected each activity once")
        elif _KINDS.get(item.kind.strip().lower()) != named.kind:
            faults.append(f"{item.id!r} is a {words}, so its kind is {named.kind!r}")
        faults += [f"{item.id!r} comes after {name!r}, which is no earlier activity of this stage" for name in item.after
                   if name not in before]  # fmt: skip
        before |= {item.id, named.id or item.id}
    if not choice.activities and not choice.missing.strip():
        faults.append('the stage has no activities; choose some, or say under "missing" what nothing that is listed does')
    if len(choice.activities) > MAX_ACTIVITIES:
        faults.append(f"the stage has {len(choice.activities)} activities; expected at most {MAX_ACTIVITIES}")
    return tuple(faults)


def mend_stage(
    choice: StageChoice, where: str, catalog: Catalog, taken: Collection[str], candidates: Sequence[str]
) -> tuple[tuple[Activity, ...], tuple[Change, ...]]:
    """Returns activities that all exist and appear once, and what was changed for that.

    An id that does not exist becomes the most similar one, of the candidates before the others of its kind; without any it is
    left out.
    """
    changes: list[Change] = []
    kept: dict[str, Activity] = {}
    renamed: dict[str, str] = {}
    for item in choice.activities:
        named = _named(item, catalog)
        now = named.id or _nearest(item.id, named.kind, catalog, candidates)
        if named.id is None:
            changes.append(Change(where, _WORDS[named.kind], item.id, now or ""))
        if now is None:
            continue
        if now in taken or now in kept:
            changes.append(Change(where, "second place for", now, ""))
        elif len(kept) == MAX_ACTIVITIES:
            changes.append(Change(where, "room for", now, ""))
        else:
            after = tuple(dict.fromkeys(renamed[name] for name in item.after if name in renamed))
            changes += [Change(where, "earlier activity", name, "") for name in item.after if name not in renamed]
            kept[now] = Activity(kind=named.kind, id=now, why=item.why.strip()[:_LONGEST_TEXT], after=after)
            renamed |= {item.id: now, now: now}
    return tuple(kept.values()), tuple(changes)


def _named(item: Choice, catalog: Catalog) -> _Named:
    said = _KINDS.get(item.kind.strip().lower(), "flow")
    other: ActivityKind = "form" if said == "flow" else "flow"
    for kind in (said, other):
        found = catalog.find(ELEMENT_TYPES[kind], item.id.strip()) if item.id.strip() else ()
        if len(found) == 1:
            return _Named(kind, str(found[0].id))
    return _Named(said, None)


def _nearest(name: str, kind: ActivityKind, catalog: Catalog, candidates: Iterable[str]) -> str | None:
    known = [str(element.id) for element in catalog.of(ELEMENT_TYPES[kind])]
    return nearest_name(name, [item for item in candidates if item in set(known)]) or nearest_name(name, known)
