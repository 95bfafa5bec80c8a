"""Chat models of both frameworks that call tools by a script, for tests of agents."""

import json

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.mock import MockFunctionCallingLLM


class ScriptedModel(BaseChatModel):
    """A chat model of LangChain whose answers are texts or lists of calls; keeps what it was offered and told."""

    answers: object
    seen: list = []

    @property
    def _llm_type(self):
        return "script"

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=[{"name": tool.name, "description": tool.description} for tool in tools])

    def _generate(self, messages, stop=None, run_manager=None, tools=(), **kwargs):
        told = [(message.type, str(message.text)) for message in messages]
        self.seen.append(([tool["name"] for tool in tools], told, json.dumps(tools)))
        answer = next(self.answers)
        if isinstance(answer, str):
            return ChatResult(generations=[ChatGeneration(message=AIMessage(answer))])
        good = [{"name": name, "args": given, "id": str(n)} for n, (name, given) in enumerate(answer) if isinstance(given, dict)]
        bad = [
            {"name": name, "args": given, "id": str(n), "error": None, "type": "invalid_tool_call"}
            for n, (name, given) in enumerate(answer)
            if not isinstance(given, dict)
        ]
        return ChatResult(generations=[ChatGeneration(message=AIMessage("", tool_calls=good, invalid_tool_calls=bad))])


class ScriptedLLM(MockFunctionCallingLLM):
    """The same for LlamaIndex."""

    seen: list = []

    def __init__(self, answers):
        def answer(messages, tools=(), **kwargs):
            told = [(str(message.role.value), message.content or "") for message in messages]
            shown = [{"name": tool.metadata.name, "description": tool.metadata.description} for tool in tools]
            self.seen.append(([tool["name"] for tool in shown], told, json.dumps(shown)))
            said = next(answers)
            if isinstance(said, str):
                return ChatMessage(role="assistant", content=said)
            blocks = [
                ToolCallBlock(tool_call_id=str(n), tool_name=name, tool_kwargs=given) for n, (name, given) in enumerate(said)
            ]
            return ChatMessage(role="assistant", blocks=blocks)

        super().__init__(response_generator=answer, is_chat_model=True)
        self.seen = []


def scripted_model(answers):
    return ScriptedModel.model_construct(answers=iter(answers), seen=[])


def scripted_llm(answers):
    return ScriptedLLM(iter(answers))
