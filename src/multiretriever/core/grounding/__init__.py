"""Grounding: whether the names in what was generated exist, and how near a generated flow is to the one that a person made."""

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
from multiretriever.core.grounding.repair import Change, nearest_name, repair_flow

__all__ = [
    "MEASURES",
    "Change",
    "Finding",
    "FlowCheck",
    "FlowScores",
    "Kind",
    "bag_of_steps",
    "check_flow",
    "fields_given_table",
    "nearest_name",
    "order_similarity",
    "repair_flow",
    "score_flow",
    "trigger_match",
]
