"""Grounded generation: what chat models are asked, and how their answers are held to what the catalog has."""

from multiretriever.core.generation.flow_questions import FlowQuestions
from multiretriever.core.generation.flow_state import FlowState, WrittenFlow
from multiretriever.core.generation.flow_writer import awrite_flow, flow_alone, write_flow
from multiretriever.core.generation.playbook import PlaybookMaker
from multiretriever.core.generation.playbook_parts import PlaybookPlan, WrittenPlaybook, WrittenStage
from multiretriever.core.generation.playbook_rules import PlaybookRules
from multiretriever.core.generation.playbook_writer import PlaybookWriter
from multiretriever.grounding.dialogue import (
    AsyncChat,
    Chat,
    Dialogue,
    Message,
    Reading,
    aconverse,
    converse,
    data_block,
    entry,
    read_answer,
)
from multiretriever.grounding.journal import Transcript

__all__ = [
    "AsyncChat",
    "Chat",
    "Dialogue",
    "FlowQuestions",
    "FlowState",
    "Message",
    "PlaybookMaker",
    "PlaybookPlan",
    "PlaybookRules",
    "PlaybookWriter",
    "Reading",
    "Transcript",
    "WrittenFlow",
    "WrittenPlaybook",
    "WrittenStage",
    "aconverse",
    "awrite_flow",
    "converse",
    "data_block",
    "entry",
    "flow_alone",
    "read_answer",
    "write_flow",
]
