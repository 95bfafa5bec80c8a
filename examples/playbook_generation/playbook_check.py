"""Checking a playbook against the catalog, and measuring it against one that a person made for the same requirement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from multiretriever.core.catalog import Catalog
from multiretriever.core.names import similar_names
from playbooks import Activity, ActivityKind, Playbook

PlaybookFindingKind = Literal["flow", "form", "repeated", "empty stage"]
_WORDS = {"flow": "workflow", "form": "catalog item"}


@dataclass(frozen=True)
class PlaybookFinding:
    """One thing that is wrong with a playbook.

    Attributes:
        kind: ``flow`` or ``form`` for an id that does not exist, ``repeated`` for an activity that appears twice, ``empty stage``
            for a stage without activities.
        name: The id; the stage's name where the stage is empty.
        where: Where it is, such as ``stage 2``.
        nearest: The most similar real ids, most similar first.
        note: What else is known: for an empty stage, what the playbook says that the catalog lacks.
    """

    kind: PlaybookFindingKind
    name: str
    where: str
    nearest: tuple[str, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        if self.kind == "repeated":
            return f"{self.where}: {self.name!r} is in the playbook already"
        if self.kind == "empty stage":
            return f"{self.where}: {self.name!r} has no activities{f' ({self.note})' if self.note else ''}"
        hint = f" (near to it: {', '.join(self.nearest)})" if self.nearest else ""
        return f"{self.where}: there is no {_WORDS[self.kind]} {self.name!r}{hint}"


@dataclass(frozen=True)
class PlaybookCheck:
    """The result of checking a playbook.

    Attributes:
        findings: All ids that do not exist, activities that appear twice, and stages without activities.
        flows: Number of workflows named in the playbook.
        forms: Number of catalog items named in the playbook.
    """

    findings: tuple[PlaybookFinding, ...]
    flows: int
    forms: int

    @property
    def valid(self) -> bool:
        """Whether every id exists, none appears twice, and no stage is empty."""
        return not self.findings

    @property
    def hallucinated(self) -> tuple[PlaybookFinding, ...]:
        """Ids that do not exist."""
        return tuple(item for item in self.findings if item.kind in _WORDS)

    @property
    def hallucinated_flow_share(self) -> float:
        """Share of the named workflows that do not exist, 0 to 1; 0 for a playbook without workflows."""
        return self._share("flow", self.flows)

    @property
    def hallucinated_form_share(self) -> float:
        """Share of the named catalog items that do not exist, 0 to 1; 0 for a playbook without catalog items."""
        return self._share("form", self.forms)

    def _share(self, kind: ActivityKind, total: int) -> float:
        return sum(item.kind == kind for item in self.findings) / total if total else 0.0


def check_playbook(playbook: Playbook, catalog: Catalog) -> PlaybookCheck:
    """Checks the names in a playbook.

    An id is a workflow's or a catalog item's own, or a name that it alone has, as in flows.
    """
    findings: list[PlaybookFinding] = []
    seen: set[tuple[str, str]] = set()
    for number, stage in enumerate(playbook.stages, start=1):
        where = f"stage {number}"
        if not stage.activities:
            findings.append(PlaybookFinding("empty stage", stage.name, where, note=stage.missing))
        for activity in stage.activities:
            real = real_id(activity, catalog)
            if real is None:
                findings.append(PlaybookFinding(activity.kind, activity.id, where, nearest_ids(activity, catalog)))
            elif (activity.kind, real) in seen:
                findings.append(PlaybookFinding("repeated", activity.id, where))
            else:
                seen.add((activity.kind, real))
    kinds = [activity.kind for _, activity in playbook.activities()]
    return PlaybookCheck(tuple(findings), kinds.count("flow"), kinds.count("form"))


def real_id(activity: Activity, catalog: Catalog) -> str | None:
    """Returns the id of what an activity names, by its id or by a name that nothing else has; None where there is none."""
    found = catalog.find(activity.element_type, activity.id)
    return str(found[0].id) if len(found) == 1 else None


def nearest_ids(activity: Activity, catalog: Catalog) -> tuple[str, ...]:
    """Returns the real ids most similar to an activity's, most similar first."""
    return similar_names(activity.id, (item.id for item in catalog.of(activity.element_type)))


PLAYBOOK_MEASURES = ("hallucinated", "precision", "recall", "f1", "same_stages", "in_place")


@dataclass(frozen=True)
class PlaybookScores:
    """Measures of one generated playbook, each 0 to 1; None where it has nothing that the measure is of.

    Attributes:
        hallucinated: Share of its activities that do not exist.
        precision: Share of its activities that are expected somewhere.
        recall: Share of the expected activities that it has.
        f1: Harmonic mean of the two over all activities.
        same_stages: 1 where it has as many stages as expected.
        in_place: Share of the expected activities that it has, in the stage of the same number.
    """

    hallucinated: float | None
    precision: float | None
    recall: float | None
    f1: float
    same_stages: float
    in_place: float | None


def score_playbook(generated: Playbook, expected: Playbook, catalog: Catalog) -> PlaybookScores:
    """Measures a generated playbook."""
    given, wanted = _places(generated, catalog), _places(expected, catalog)
    right = given.keys() & wanted.keys()
    check = check_playbook(generated, catalog)
    total = check.flows + check.forms
    return PlaybookScores(
        hallucinated=len(check.hallucinated) / total if total else None,
        precision=len(right) / len(given) if given else None,
        recall=len(right) / len(wanted) if wanted else None,
        f1=2 * len(right) / (len(given) + len(wanted)) if given or wanted else 1.0,
        same_stages=float(len(generated.stages) == len(expected.stages)),
        in_place=sum(given[key] == wanted[key] for key in right) / len(right) if right else None,
    )


def _places(playbook: Playbook, catalog: Catalog) -> dict[tuple[str, str], int]:
    """Returns the number of the stage of each activity, the first one where it appears twice."""
    places: dict[tuple[str, str], int] = {}
    for number, activity in playbook.activities():
        places.setdefault((activity.kind, real_id(activity, catalog) or activity.id), number)
    return places
