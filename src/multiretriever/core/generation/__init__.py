"""Grounded generation: what chat models are asked, and how their answers are held to what the catalog has."""

from multiretriever.core.generation.answers import read_answer
from multiretriever.core.generation.data_block import data_block, entry
from multiretriever.core.generation.dialogue import AsyncChat, Chat, Dialogue, Message, Reading, aconverse, converse
from multiretriever.core.generation.transcript import Transcript

__all__ = [
    "AsyncChat",
    "Chat",
    "Dialogue",
    "Message",
    "Reading",
    "Transcript",
    "aconverse",
    "converse",
    "data_block",
    "entry",
    "read_answer",
]
