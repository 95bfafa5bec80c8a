"""Chat models for tests, of both frameworks: they answer what they were given, in order, and keep what they were asked."""

from collections.abc import Iterator
from itertools import repeat
from typing import Any

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata, MessageRole
from llama_index.core.llms import CustomLLM


class FakeChatModel(GenericFakeChatModel):
    """LangChain's fake, which keeps its messages."""

    asked: list = []

    def _generate(self, messages, **options):
        self.asked.append(messages)
        return super()._generate(messages, **options)


class ToolCallingChatModel(FakeChatModel):
    """Can be held to a form, as models with tool calls are: its answers are the arguments of a call."""

    bound: list = []

    def bind_tools(self, tools, **options):
        self.bound.append(tools)
        return self

    def _stream(self, messages, stop=None, run_manager=None, **options):
        self.asked.append(messages)
        arguments = next(self.messages)
        name = self.bound[-1][0].__name__
        for start in range(0, len(arguments), 10):
            call = {"name": name if start == 0 else None, "args": arguments[start : start + 10], "id": "1", "index": 0}
            yield ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=[{**call, "type": "tool_call_chunk"}]))


class EndlessChatModel(FakeChatModel):
    """Never stops to write."""

    chunks: int = 0

    def _stream(self, messages, stop=None, run_manager=None, **options):
        for _ in repeat(None):
            self.chunks += 1
            yield ChatGenerationChunk(message=AIMessageChunk("and so on " * 10))


def langchain_model(*answers):
    """Returns a LangChain chat model that gives the answers in order; ``asked`` holds the messages of each call."""
    return FakeChatModel(messages=iter([AIMessage(text) for text in answers]), asked=[])


class FakeLLM(CustomLLM):
    """The same for LlamaIndex."""

    answers: Iterator[Any]
    asked: list = []

    @property
    def metadata(self):
        return LLMMetadata(model_name="fake")

    def _next(self, messages):
        self.asked.append(messages)
        try:
            return next(self.answers)
        except StopIteration as error:
            raise RuntimeError("no answers are left") from error

    def chat(self, messages, **options):
        return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=self._next(messages)))

    def stream_chat(self, messages, **options):
        text = self._next(messages)

        def chunks():
            for start in range(0, len(text), 50):
                part = text[start : start + 50]
                yield ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text[: start + 50]), delta=part)

        return chunks()

    def complete(self, prompt, formatted=False, **options):
        return CompletionResponse(text=self._next([ChatMessage(role=MessageRole.USER, content=prompt)]))

    def stream_complete(self, prompt, formatted=False, **options):
        raise NotImplementedError


class EndlessLLM(FakeLLM):
    """Never stops to write."""

    chunks: int = 0

    def stream_chat(self, messages, **options):
        def forever():
            text = "and so on " * 10
            while True:
                self.chunks += 1
                yield ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), delta=text)

        return forever()


def llama_index_model(*answers):
    """Returns an LLM of LlamaIndex that gives the answers in order; ``asked`` holds the messages of each call."""
    return FakeLLM(answers=iter(answers), asked=[])
