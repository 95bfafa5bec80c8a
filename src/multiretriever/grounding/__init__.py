"""Grounding: whether the names in what was generated exist, and how near it is to what a person made."""

from __future__ import annotations

from multiretriever.grounding.code_check import CodeCheck, CodeFinding, made_up_shares
from multiretriever.grounding.draft import Draft, DraftPart, draft_flow
from multiretriever.grounding.flow_check import Change, Finding, FlowCheck, Kind, check_flow, nearest_name, repair_flow
from multiretriever.grounding.flow_measures import (
    MEASURES,
    FlowScores,
    bag_of_steps,
    fields_given_table,
    order_similarity,
    score_flow,
    trigger_match,
)
from multiretriever.grounding.playbook_check import PlaybookCheck, PlaybookFinding, PlaybookScores, check_playbook, score_playbook
from multiretriever.grounding.python_check import check_python, repair_python

__all__ = [
    "MEASURES",
    "Change",
    "CodeCheck",
    "CodeFinding",
    "Draft",
    "DraftPart",
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
    "draft_flow",
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
