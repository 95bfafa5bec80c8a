"""The calls of chat models in LangChain: read as they were written, and answered one by one."""

import json

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from langchain_tools import aask_with_tools, ask_with_tools, tool_calls, tool_messages
from multiretriever.core import Catalog, Step
from multiretriever.core.elements import StepInput
from multiretriever.core.errors import AnswerError, LLMError
from multiretriever.grounding.tool_check import ToolCall
from multiretriever.langchain import tools_from_catalog
from toolbox import Outcome

STEPS = [
    Step(scope="shop", name="wipe", label="Wipe a laptop", inputs=(StepInput(name="id", required=True),)),
    Step(scope="shop", name="list"),
]


@pytest.fixture
def tools():
    return {tool.name: tool for tool in tools_from_catalog(Catalog(STEPS), print)}


class Streaming(BaseChatModel):
    """Gives the chunks that it was given."""

    chunks: list

    @property
    def _llm_type(self):
        return "fake"

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=[tool.name for tool in tools])

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        raise NotImplementedError

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield ChatGenerationChunk(message=chunk)


class Whole(Streaming):
    """Gives one message, not streamed."""

    _stream = BaseChatModel._stream

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=self.chunks[0])])


def pieces(*texts, name="shop_wipe"):
    heads = [{"name": name, "id": "1"}, *[{"name": None, "id": None}] * len(texts)]
    parts = [{**head, "args": text} for head, text in zip(heads, texts, strict=False)]
    return [AIMessageChunk("", tool_call_chunks=[{**part, "index": 0, "type": "tool_call_chunk"}]) for part in parts]


async def both(model, tools=()):
    messages = [HumanMessage("x")]
    answer = ask_with_tools(model, list(tools), messages)
    awaited = await aask_with_tools(model, list(tools), messages)
    assert (awaited.content, tool_calls(awaited)) == (answer.content, tool_calls(answer))
    return answer


async def test_a_streamed_call(tools):
    answer = await both(Streaming(chunks=[AIMessageChunk("I will. "), *pieces('{"id": ', '"7"}')]), tools.values())
    assert type(answer) is AIMessage
    assert answer.content == "I will. "
    assert tool_calls(answer) == [ToolCall("1", "shop_wipe", {"id": "7"})]
    assert answer.tool_calls[0]["args"] == {"id": "7"}


@pytest.mark.parametrize("broken", ['{"id": "INV-20', '["7"]', "7", "{'id': '7'}", "[" * 5_000])
async def test_broken_json_is_not_completed(tools, broken):
    answer = await both(Streaming(chunks=pieces(*[broken[n : n + 1000] for n in range(0, len(broken), 1000)])), tools.values())
    assert answer.tool_calls == []
    assert tool_calls(answer) == [ToolCall("1", "shop_wipe", broken)]


async def test_a_call_without_arguments(tools):
    answer = await both(Streaming(chunks=pieces("", name="shop_list")), tools.values())
    assert tool_calls(answer) == [ToolCall("1", "shop_list", {})]


async def test_an_answer_that_is_not_streamed(tools):
    invalid = [{"name": "shop_wipe", "args": '{"id', "id": "2", "error": "x", "type": "invalid_tool_call"}]
    calls = [{"name": "shop_list", "args": {}, "id": "1"}]
    answer = await both(Whole(chunks=[AIMessage("x", tool_calls=calls, invalid_tool_calls=invalid)]), tools.values())
    assert tool_calls(answer) == [ToolCall("1", "shop_list", {}), ToolCall("2", "shop_wipe", '{"id')]


async def test_an_endless_answer(tools):
    def forever():
        while True:
            taken.append(1)
            yield from pieces('{"id": "' + "long " * 100)

    taken = []
    model = Streaming.model_construct(chunks=forever())
    with pytest.raises(AnswerError, match="longer"):
        ask_with_tools(model, list(tools.values()), [HumanMessage("x")])
    with pytest.raises(AnswerError, match="longer"):
        await aask_with_tools(model, list(tools.values()), [HumanMessage("x")])
    assert len(taken) < 200


async def test_errors_of_the_provider_are_typed(tools):
    class NoTools(Streaming):
        bind_tools = BaseChatModel.bind_tools

    for model in (Streaming(chunks=[ConnectionError("no route")]), NoTools(chunks=[])):
        with pytest.raises(LLMError, match="did not answer"):
            ask_with_tools(model, list(tools.values()), [HumanMessage("x")])
        with pytest.raises(LLMError, match="did not answer"):
            await aask_with_tools(model, list(tools.values()), [HumanMessage("x")])


async def test_without_tools_none_are_bound():
    answer = await both(Streaming(chunks=[AIMessageChunk("hello")]))
    assert answer.content == "hello"


def test_messages_answer_every_call():
    call = ToolCall("1", "shop_wipe", {"id": "7"})
    good, bad = tool_messages([Outcome(call, STEPS[0], "{}"), Outcome(ToolCall("2", "x", "{"), None, "no", "unknown")])
    assert (good.tool_call_id, good.name, good.status, good.content) == ("1", "shop_wipe", "success", "{}")
    assert (bad.tool_call_id, bad.status, bad.artifact.fault) == ("2", "error", "unknown")
    assert json.loads(good.content) == {}
