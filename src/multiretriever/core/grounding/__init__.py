"""Grounding: whether the names in what was generated exist, and how near it is to what a person made."""

from multiretriever.core.grounding.check import Finding, FlowCheck, Kind, check_flow
from multiretriever.core.grounding.code import CodeCheck, CodeFinding, made_up_shares
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
from multiretriever.core.grounding.python_check import check_python, repair_python
from multiretriever.core.grounding.repair import Change, nearest_name, repair_flow

__all__ = [
    "MEASURES",
    "Change",
    "CodeCheck",
    "CodeFinding",
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
    "check_python",
    "fields_given_table",
    "made_up_shares",
    "nearest_name",
    "order_similarity",
    "repair_flow",
    "repair_python",
    "score_flow",
    "score_playbook",
    "trigger_match",
]
