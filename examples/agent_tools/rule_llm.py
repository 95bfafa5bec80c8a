"""The rules as an LLM of LlamaIndex that calls functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import BaseTool
from rule_model import Offered, decide

ROLES = (MessageRole.USER, MessageRole.ASSISTANT, MessageRole.TOOL)


def said(messages: Sequence[ChatMessage]) -> list[tuple[str, str]]:
    """Returns who said what, without the system's message."""
    return [(message.role.value, message.content or "") for message in messages if message.role in ROLES]


class RuleLLM(MockFunctionCallingLLM):
    """Calls tools as LLMs do, by rules. The base is what LlamaIndex has for answers that a function of Python gives."""

    def __init__(self) -> None:
        super().__init__(response_generator=_answer, is_chat_model=True)


def _answer(messages: Sequence[ChatMessage], tools: Sequence[BaseTool] = (), **kwargs: Any) -> ChatMessage:
    shown = [tool.metadata for tool in tools]
    offered = [Offered(tool.get_name(), tool.description, tool.get_parameters_dict()) for tool in shown]
    decision = decide(said(messages), offered)
    if decision.name is None:
        return ChatMessage(role=MessageRole.ASSISTANT, content=decision.text)
    call = ToolCallBlock(tool_call_id=uuid4().hex, tool_name=decision.name, tool_kwargs=decision.arguments)
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=[call])
