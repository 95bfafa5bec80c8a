"""Measures playbooks that are drafted without a chat model, and the candidates that one would be shown, on measured.yaml.

Usage: python examples/playbook_generation/measure_playbooks.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multiretriever.core import Catalog, Index, MultiRetriever
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.core.query import MODES
from playbook_answers import PlannedStage
from playbook_check import PLAYBOOK_MEASURES, score_playbook
from playbook_writer import PlaybookDrafter, PlaybookMaker
from playbooks import ELEMENT_TYPES, Playbook, read_playbooks

SET = Path(__file__).with_name("measured.yaml")


def mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")


def drafted(maker: PlaybookMaker, expected: Sequence[Playbook]) -> list[float]:
    """Returns the mean of each measure over playbooks that are made of the expected ones' requirements."""
    scores = [score_playbook(maker.make(item.requirement).playbook, item, maker.catalog) for item in expected]
    return [mean([getattr(score, name) for score in scores]) for name in PLAYBOOK_MEASURES]


def shown_to_models(maker: PlaybookMaker, expected: Sequence[Playbook]) -> float:
    """Returns the share of a stage's expected activities among its candidates, for the stages' expected names and purposes."""
    shares: list[float] = []
    for item in expected:
        for stage in (stage for stage in item.stages if stage.activities):
            found = maker.candidates(item.requirement, PlannedStage(name=stage.name, purpose=stage.purpose))
            ids = {(name, element.id) for name, elements in found.items() for element in elements}
            shares.append(mean([float((activity.element_type, activity.id) in ids) for activity in stage.activities]))
    return mean(shares)


def main() -> int:
    catalog = Catalog(item for item in Catalog.from_path(IT_SERVICE) if item.element_type in ELEMENT_TYPES.values())
    playbooks = read_playbooks(SET)
    print(f"{len(playbooks)} requirements\n")
    print("| mode |", " | ".join(PLAYBOOK_MEASURES), "| candidates@8 |")
    print("| --- " * (len(PLAYBOOK_MEASURES) + 2) + "|")
    with Index.from_catalog(catalog) as index:
        for mode in MODES:
            maker = PlaybookDrafter(MultiRetriever(index, mode=mode), catalog=catalog)
            values = [*drafted(maker, playbooks), shown_to_models(maker, playbooks)]
            print(f"| {mode} |", " | ".join(f"{value:.2f}" for value in values), "|", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
