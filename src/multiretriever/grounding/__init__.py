"""Grounding: making sure that what is generated names only what exists.

Drafts by retrieval, dialogues that ask a chat model again, checks and repairs of flows. The check of SQL needs the extra ``code``
and is in ``multiretriever.grounding.sql_check``.
"""

from multiretriever.grounding.dialogue import Dialogue
from multiretriever.grounding.draft import Draft, draft_flow
from multiretriever.grounding.flow_check import Change, Finding, FlowCheck, check_flow, repair_flow
from multiretriever.grounding.flow_measures import FlowScores, score_flow
from multiretriever.grounding.journal import Transcript

__all__ = [
    "Change",
    "Dialogue",
    "Draft",
    "Finding",
    "FlowCheck",
    "FlowScores",
    "Transcript",
    "check_flow",
    "draft_flow",
    "repair_flow",
    "score_flow",
]
