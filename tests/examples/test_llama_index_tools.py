"""The calls of LLMs in LlamaIndex: read as they were written, and answered one by one."""

import pytest
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.mock import MockFunctionCallingLLM

from llama_index_tools import aask_with_tools, ask_with_tools, tool_calls, tool_messages
from multiretriever.core import Catalog, Step
from multiretriever.core.elements import StepInput
from multiretriever.core.errors import AnswerError, LLMError
from multiretriever.grounding.tool_check import ToolCall
from multiretriever.llama_index import tools_from_catalog
from toolbox import Outcome

STEPS = [
    Step(scope="shop", name="wipe", label="Wipe a laptop", inputs=(StepInput(name="id", required=True),)),
    Step(scope="shop", name="list"),
]
QUESTION = [ChatMessage(role="user", content="x")]


@pytest.fixture
def tools():
    return {tool.metadata.name: tool for tool in tools_from_catalog(Catalog(STEPS), print)}


def calling(*calls, text=None):
    """An LLM that makes these calls, or says a text."""

    def answer(messages, tools=(), **kwargs):
        if text is not None:
            return ChatMessage(role="assistant", content=text)
        blocks = [ToolCallBlock(tool_call_id=str(n), tool_name=name, tool_kwargs=given) for n, (name, given) in enumerate(calls)]
        return ChatMessage(role="assistant", blocks=blocks)

    return MockFunctionCallingLLM(response_generator=answer, is_chat_model=True)


async def both(llm, tools):
    response = ask_with_tools(llm, list(tools), QUESTION)
    awaited = await aask_with_tools(llm, list(tools), QUESTION)
    assert tool_calls(llm, awaited) == tool_calls(llm, response)
    return response


async def test_calls(tools):
    llm = calling(("shop_wipe", {"id": "7"}), ("shop_list", "{}"), ("shop_list", ""))
    calls = tool_calls(llm, await both(llm, tools.values()))
    assert calls == [ToolCall("0", "shop_wipe", {"id": "7"}), ToolCall("1", "shop_list", {}), ToolCall("2", "shop_list", {})]


@pytest.mark.parametrize("broken", ['{"id": "INV-20', '["7"]', "7", "{'id': '7'}", "[" * 5_000])
async def test_broken_json_is_not_completed(tools, broken):
    llm = calling(("shop_wipe", broken))
    assert tool_calls(llm, await both(llm, tools.values())) == [ToolCall("0", "shop_wipe", broken)]


async def test_an_llm_that_keeps_its_calls_to_itself(tools):
    selection = ToolSelection(tool_id="1", tool_name="shop_wipe", tool_kwargs={"id": "7"})
    message = ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": [selection]})
    llm = MockFunctionCallingLLM(response_generator=lambda messages, **kwargs: message, is_chat_model=True)
    assert tool_calls(llm, await both(llm, tools.values())) == [ToolCall("1", "shop_wipe", {"id": "7"})]


async def test_a_text(tools):
    llm = calling(text="hello")
    response = await both(llm, tools.values())
    assert (response.message.content, tool_calls(llm, response)) == ("hello", [])


async def test_an_endless_answer(tools):
    taken = []

    class Endless(MockFunctionCallingLLM):
        def stream_chat(self, messages, **kwargs):
            while True:
                taken.append(1)
                yield ask_with_tools(calling(text="and so on " * 10), [], QUESTION)

        async def astream_chat(self, messages, **kwargs):
            async def chunks():
                for chunk in self.stream_chat(messages):
                    yield chunk

            return chunks()

    with pytest.raises(AnswerError, match="longer"):
        ask_with_tools(Endless(), list(tools.values()), QUESTION)
    with pytest.raises(AnswerError, match="longer"):
        await aask_with_tools(Endless(), list(tools.values()), QUESTION)
    assert len(taken) < 2_000
    with pytest.raises(AnswerError, match="longer"):
        ask_with_tools(calling(("shop_wipe", '{"id": "' + "x" * 100_000)), list(tools.values()), QUESTION)


async def test_errors_are_typed(tools):
    def fail(messages, **kwargs):
        raise ConnectionError("no route")

    unreachable = MockFunctionCallingLLM(response_generator=fail, is_chat_model=True)
    for llm, told in ((unreachable, "no route"), (MockLLM(), "calls functions")):
        with pytest.raises(LLMError, match=told):
            ask_with_tools(llm, list(tools.values()), QUESTION)
        with pytest.raises(LLMError, match=told):
            await aask_with_tools(llm, list(tools.values()), QUESTION)

    class Mute(MockFunctionCallingLLM):
        def get_tool_calls_from_response(self, response, error_on_no_tool_call=False, **kwargs):
            raise KeyError("choices")

    with pytest.raises(LLMError, match="cannot be read"):
        tool_calls(Mute(), ask_with_tools(calling(text="x"), [], QUESTION))


def test_messages_answer_every_call():
    outcomes = [
        Outcome(ToolCall("1", "shop_wipe", {"id": "7"}), STEPS[0], "{}"),
        Outcome(ToolCall("2", "x", "{"), None, "no", "unknown"),
    ]
    good, bad = tool_messages(outcomes)
    assert (good.role, good.content, good.additional_kwargs["tool_call_id"]) == ("tool", "{}", "1")
    assert (bad.role, bad.content, bad.additional_kwargs["name"]) == ("tool", "no", "x")
