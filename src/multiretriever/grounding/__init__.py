"""Grounding: making sure that what is generated names only what exists.

Drafts by retrieval, dialogues that ask a chat model again, checks and repairs of flows. The check of SQL needs the extra ``code``
and is in ``multiretriever.grounding.sql_check``.
"""

from __future__ import annotations

from multiretriever.grounding.dialogue import Dialogue, Message, Reading, aconverse, converse, data_block, entry, read_answer
from multiretriever.grounding.draft import Draft, DraftPart, draft_flow
from multiretriever.grounding.flow_check import Change, Finding, FlowCheck, check_flow, repair_flow
from multiretriever.grounding.flow_measures import FlowScores, score_flow
from multiretriever.grounding.journal import Transcript

__all__ = [
    "Change",
    "Dialogue",
    "Draft",
    "DraftPart",
    "Finding",
    "FlowCheck",
    "FlowScores",
    "Message",
    "Reading",
    "Transcript",
    "aconverse",
    "check_flow",
    "converse",
    "data_block",
    "draft_flow",
    "entry",
    "read_answer",
    "repair_flow",
    "score_flow",
]
