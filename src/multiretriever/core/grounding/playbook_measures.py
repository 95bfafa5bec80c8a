"""How near a generated playbook is to the one that a person made for the same requirement."""

from __future__ import annotations

from dataclasses import dataclass

from multiretriever.core.catalog import Catalog
from multiretriever.core.grounding.playbook_check import check_playbook, real_id
from multiretriever.core.playbooks import Playbook

PLAYBOOK_MEASURES = ("made_up", "precision", "recall", "f1", "same_stages", "in_place")


@dataclass(frozen=True)
class PlaybookScores:
    """Measures of one generated playbook, each 0 to 1; None where it has nothing that the measure is of.

    Attributes:
        made_up: Share of its activities that do not exist.
        precision: Share of its activities that are expected somewhere.
        recall: Share of the expected activities that it has.
        f1: Harmonic mean of the two over all activities.
        same_stages: 1 where it has as many stages as expected.
        in_place: Share of the expected activities that it has that stand in the stage of the same number.
    """

    made_up: float | None
    precision: float | None
    recall: float | None
    f1: float
    same_stages: float
    in_place: float | None


def score_playbook(generated: Playbook, expected: Playbook, catalog: Catalog) -> PlaybookScores:
    """Measures a generated playbook."""
    given, due = _places(generated, catalog), _places(expected, catalog)
    right = given.keys() & due.keys()
    check = check_playbook(generated, catalog)
    total = check.flows + check.forms
    return PlaybookScores(
        made_up=len(check.made_up) / total if total else None,
        precision=len(right) / len(given) if given else None,
        recall=len(right) / len(due) if due else None,
        f1=2 * len(right) / (len(given) + len(due)) if given or due else 1.0,
        same_stages=float(len(generated.stages) == len(expected.stages)),
        in_place=sum(given[key] == due[key] for key in right) / len(right) if right else None,
    )


def _places(playbook: Playbook, catalog: Catalog) -> dict[tuple[str, str], int]:
    """Returns the number of the stage of each activity, the first one where it stands twice."""
    places: dict[tuple[str, str], int] = {}
    for number, activity in playbook.activities():
        places.setdefault((activity.kind, real_id(activity, catalog) or activity.id), number)
    return places
