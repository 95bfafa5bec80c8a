"""What is wrong with the answers that a playbook is made of, and mending what is still wrong after the last trial."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from multiretriever.core.catalog import Catalog
from multiretriever.core.generation.playbook_parts import (
    Choice,
    PlannedStage,
    PlaybookOutline,
    PlaybookPlan,
    StageChoice,
    StageIdea,
)
from multiretriever.core.playbooks import ELEMENT_TYPES, Activity, ActivityKind
from multiretriever.grounding.flow_check import Change, nearest_name

MAX_STAGES = 20
MAX_ACTIVITIES = 12
_LONGEST_NAME = 120
_LONGEST_TEXT = 600
_WORDS: dict[ActivityKind, str] = {"flow": "workflow", "form": "catalog item"}
_KINDS: dict[str, ActivityKind] = {"flow": "flow", "form": "form"}
_KINDS |= {"workflow": "flow", "catalog_item": "form", "catalog item": "form", "item": "form"}


def outline_faults(outline: PlaybookOutline) -> tuple[str, ...]:
    """Returns what is wrong with an outline: no stages, too many, blank or repeated names."""
    faults = [] if outline.stages else ["the outline has no stages"]
    if len(outline.stages) > MAX_STAGES:
        faults.append(f"the outline has {len(outline.stages)} stages; at most {MAX_STAGES} are taken")
    seen: set[str] = set()
    for number, stage in enumerate(outline.stages, start=1):
        name = stage.name.strip()
        if not 0 < len(name) <= _LONGEST_NAME or not 0 < len(stage.purpose.strip()) <= _LONGEST_TEXT:
            faults.append(f"stage {number}: the name must have 1 to {_LONGEST_NAME} characters, the purpose 1 to {_LONGEST_TEXT}")
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
        taken: Ids that stand in earlier stages.
    """
    faults: list[str] = []
    before: set[str] = set()
    for item in choice.activities:
        named = _named(item, catalog)
        words = _WORDS[named.kind]
        if named.id is None:
            faults.append(f"there is no {words} {item.id!r}")
        elif named.id in taken or named.id in before:
            faults.append(f"{item.id!r} stands in the playbook already; an activity stands once")
        elif _KINDS.get(item.kind.strip().lower()) != named.kind:
            faults.append(f"{item.id!r} is a {words}, so its kind is {named.kind!r}")
        faults += [f"{item.id!r} is to come after {name!r}, which is no earlier activity of this stage" for name in item.after
                   if name not in before]  # fmt: skip
        before |= {item.id, named.id or item.id}
    if not choice.activities and not choice.missing.strip():
        faults.append('the stage has no activities; choose some, or say under "missing" what nothing that is listed does')
    if len(choice.activities) > MAX_ACTIVITIES:
        faults.append(f"the stage has {len(choice.activities)} activities; at most {MAX_ACTIVITIES} are taken")
    return tuple(faults)


def mend_stage(
    choice: StageChoice, where: str, catalog: Catalog, taken: Collection[str], candidates: Sequence[str]
) -> tuple[tuple[Activity, ...], tuple[Change, ...]]:
    """Returns activities that all exist and stand once, and what was changed for that.

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
