"""The rules as a chat model of LangChain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_function
from rule_model import Offered, decide

WHO = {"human": "user", "ai": "assistant", "tool": "tool"}


def said(messages: Sequence[BaseMessage]) -> list[tuple[str, str]]:
    """Returns who said what, without the system's message."""
    return [(WHO[message.type], str(message.text)) for message in messages if message.type in WHO]


class RuleChatModel(BaseChatModel):
    """Calls tools as chat models do, by rules."""

    @property
    def _llm_type(self) -> str:
        return "rules"

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offers tools."""
        return self.bind(tools=[convert_to_openai_function(tool) for tool in tools])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        tools: Sequence[dict[str, Any]] = (),
        **kwargs: Any,
    ) -> ChatResult:
        offered = [Offered(tool["name"], tool["description"], tool["parameters"]) for tool in tools]
        decision = decide(said(messages), offered)
        calls = [{"name": decision.name, "args": decision.arguments, "id": uuid4().hex}] if decision.name else []
        return ChatResult(generations=[ChatGeneration(message=AIMessage(decision.text, tool_calls=calls))])
