"""Measures playbooks that are drafted by rules, and the candidates that a chat model would be shown, on measured.yaml.

Usage: python examples/playbook_generation/measure.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multiretriever.core import Catalog, Index, MultiRetriever
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.core.generation.playbook_candidates import PlaybookCandidates
from multiretriever.core.generation.playbook_parts import PlannedStage
from multiretriever.core.generation.playbook_rules import PlaybookRules
from multiretriever.core.playbooks import Playbook, read_playbooks
from multiretriever.core.query import MODES
from multiretriever.grounding.playbook_check import PLAYBOOK_MEASURES, score_playbook

SET = Path(__file__).with_name("measured.yaml")


def mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")


def by_rules(retriever: MultiRetriever, expected: Sequence[Playbook], catalog: Catalog) -> list[float]:
    """Returns the mean of each measure over playbooks that are drafted from the expected ones' requirements."""
    rules = PlaybookRules(retriever, catalog=catalog)
    scores = [score_playbook(rules.make(item.requirement).playbook, item, catalog) for item in expected]
    return [mean([getattr(score, name) for score in scores]) for name in PLAYBOOK_MEASURES]


def shown_to_models(retriever: MultiRetriever, expected: Sequence[Playbook]) -> float:
    """Returns the share of a stage's expected activities among its candidates, for the stages' expected names and purposes."""
    candidates = PlaybookCandidates(retriever)
    shares: list[float | None] = []
    for item in expected:
        for stage in item.stages:
            found = candidates.for_stage(item.requirement, PlannedStage(name=stage.name, purpose=stage.purpose))
            ids = {(name, element.id) for name, elements in found.items() for element in elements}
            due = [(activity.element_type, activity.id) in ids for activity in stage.activities]
            shares.append(mean([float(there) for there in due]) if due else None)
    return mean(shares)


def main() -> int:
    catalog = Catalog(item for item in Catalog.from_path(IT_SERVICE) if item.element_type in ("workflow", "catalog_item"))
    playbooks = read_playbooks(SET)
    print("| requirements | mode |", " | ".join(PLAYBOOK_MEASURES), "| candidates@8 |")
    print("| --- " * (len(PLAYBOOK_MEASURES) + 3) + "|")
    with Index.from_catalog(catalog) as index:
        for name, part in (("thresholds chosen on", playbooks[0::2]), ("held out", playbooks[1::2])):
            for mode in MODES:
                retriever = MultiRetriever(index, mode=mode)
                values = [*by_rules(retriever, part, catalog), shown_to_models(retriever, part)]
                print(f"| {name} ({len(part)}) | {mode} |", " | ".join(f"{value:.2f}" for value in values), "|", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
