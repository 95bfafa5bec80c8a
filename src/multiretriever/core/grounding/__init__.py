"""Grounding: whether the names in what was generated exist, and how near it is to what a person made."""

from multiretriever.core.grounding.check import Finding, FlowCheck, Kind, check_flow
from multiretriever.core.grounding.measures import (
    MEASURES,
    FlowScores,
    bag_of_steps,
    fields_given_table,
    order_similarity,
    score_flow,
    trigger_match,
)
from multiretriever.core.grounding.playbook_check import PlaybookCheck, PlaybookFinding, check_playbook
from multiretriever.core.grounding.playbook_measures import PlaybookScores, score_playbook
from multiretriever.core.grounding.repair import Change, nearest_name, repair_flow

__all__ = [
    "MEASURES",
    "Change",
    "Finding",
    "FlowCheck",
    "FlowScores",
    "Kind",
    "PlaybookCheck",
    "PlaybookFinding",
    "PlaybookScores",
    "bag_of_steps",
    "check_flow",
    "check_playbook",
    "fields_given_table",
    "nearest_name",
    "order_similarity",
    "repair_flow",
    "score_flow",
    "score_playbook",
    "trigger_match",
]
