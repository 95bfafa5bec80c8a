import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.mock import MockFunctionCallingLLM

from encoders import WordEncoder
from multiretriever.core import Catalog, CatalogError, Step, StepInput
from multiretriever.core.errors import AnswerError, LLMError
from multiretriever.core.tool_calls import OperationError, Outcome, ToolCall
from multiretriever.llama_index import ToolSelector
from multiretriever.llama_index.catalog_tools import tools_from_catalog
from multiretriever.llama_index.tool_answers import aask_with_tools, ask_with_tools, tool_calls, tool_messages

# Names that tools of frameworks and pydantic use themselves.
ODD = ("self", "ctx", "input", "args", "kwargs", "schema", "copy", "from", "model_config", "model_fields")
STEPS = [
    Step(scope="shop", name="wipe", label="Wipe a laptop", inputs=(StepInput(name="id", required=True),)),
    Step(scope="shop", name="odd", inputs=tuple(StepInput(name=name) for name in ODD)),
    Step(scope="shop", name="list"),
]
QUESTION = [ChatMessage(role="user", content="x")]


class Service:
    def __init__(self):
        self.called = []

    def __call__(self, step, arguments):
        self.called.append((step.id, arguments))
        if arguments.get("id") == "404":
            raise OperationError("there is none")
        return {"done": step.name}


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def tools(service):
    return {tool.metadata.name: tool for tool in tools_from_catalog(Catalog(STEPS), service)}


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


class TestTools:
    def test_an_llm_is_shown_the_schema(self, tools):
        shown = tools["shop_wipe"].metadata.to_openai_tool()["function"]
        assert (shown["name"], shown["description"]) == ("shop_wipe", "Wipe a laptop")
        assert shown["parameters"] == {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
        assert tools["shop_odd"].metadata.get_parameters_dict()["properties"].keys() == set(ODD)

    async def test_run_with_what_fits(self, tools, service):
        outputs = [tools["shop_wipe"](id="7"), tools["shop_wipe"].call(id="7"), await tools["shop_wipe"].acall(id="7")]
        assert [(output.content, output.is_error) for output in outputs] == [('{"done": "wipe"}', False)] * 3
        assert service.called == [("shop.wipe", {"id": "7"})] * 3

    async def test_arguments_may_have_any_name(self, tools, service):
        arguments = {name: "x" for name in ODD}
        assert not tools["shop_odd"].call(**arguments).is_error
        assert not (await tools["shop_odd"].acall(**arguments)).is_error
        assert service.called == [("shop.odd", arguments)] * 2

    @pytest.mark.parametrize("arguments", [{}, {"id": 7}, {"id": "7", "all": True}])
    async def test_what_does_not_fit_is_told_and_not_run(self, tools, service, arguments):
        for output in (tools["shop_wipe"].call(**arguments), await tools["shop_wipe"].acall(**arguments)):
            assert output.is_error
            assert "nothing was run" in output.content
            assert output.raw_output.fault == "arguments"
        assert service.called == []
        assert tools["shop_wipe"].call("7").is_error

    def test_errors_of_the_service_are_told(self, tools):
        output = tools["shop_wipe"].call(id="404")
        assert (output.is_error, output.content) == (True, "the call failed: there is none")

    async def test_with_the_selector_and_an_agent(self, tools, service):
        selector = ToolSelector(list(tools.values()), encoder=WordEncoder(), k=1)
        offered = []

        def answer(messages, tools=(), **kwargs):
            offered.append([tool.metadata.name for tool in tools])
            if messages[-1].role == "tool":
                return ChatMessage(role="assistant", content=f"done: {messages[-1].content}")
            block = ToolCallBlock(tool_call_id="1", tool_name="shop_wipe", tool_kwargs={"id": "7"})
            return ChatMessage(role="assistant", blocks=[block])

        llm = MockFunctionCallingLLM(response_generator=answer, is_chat_model=True)
        agent = FunctionAgent(tool_retriever=selector, llm=llm, streaming=False)
        assert str(await agent.run("wipe a laptop")) == 'done: {"done": "wipe"}'
        assert offered == [["shop_wipe"]] * 2
        assert service.called == [("shop.wipe", {"id": "7"})]
        selector.close()

    def test_a_catalog_without_steps(self, service):
        with pytest.raises(CatalogError):
            tools_from_catalog(Catalog([]), service)


class TestAnswers:
    async def test_calls(self, tools):
        llm = calling(("shop_wipe", {"id": "7"}), ("shop_list", "{}"), ("shop_list", ""))
        calls = tool_calls(llm, await both(llm, tools.values()))
        assert calls == [ToolCall("0", "shop_wipe", {"id": "7"}), ToolCall("1", "shop_list", {}), ToolCall("2", "shop_list", {})]

    @pytest.mark.parametrize("broken", ['{"id": "INV-20', '["7"]', "7", "{'id': '7'}", "[" * 5_000])
    async def test_broken_json_is_not_completed(self, tools, broken):
        llm = calling(("shop_wipe", broken))
        assert tool_calls(llm, await both(llm, tools.values())) == [ToolCall("0", "shop_wipe", broken)]

    async def test_an_llm_that_keeps_its_calls_to_itself(self, tools):
        selection = ToolSelection(tool_id="1", tool_name="shop_wipe", tool_kwargs={"id": "7"})
        message = ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": [selection]})
        llm = MockFunctionCallingLLM(response_generator=lambda messages, **kwargs: message, is_chat_model=True)
        assert tool_calls(llm, await both(llm, tools.values())) == [ToolCall("1", "shop_wipe", {"id": "7"})]

    async def test_a_text(self, tools):
        llm = calling(text="hello")
        response = await both(llm, tools.values())
        assert (response.message.content, tool_calls(llm, response)) == ("hello", [])

    async def test_an_endless_answer(self, tools):
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

    async def test_errors_are_typed(self, tools):
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

    def test_messages_answer_every_call(self):
        outcomes = [
            Outcome(ToolCall("1", "shop_wipe", {"id": "7"}), STEPS[0], "{}"),
            Outcome(ToolCall("2", "x", "{"), None, "no", "unknown"),
        ]
        good, bad = tool_messages(outcomes)
        assert (good.role, good.content, good.additional_kwargs["tool_call_id"]) == ("tool", "{}", "1")
        assert (bad.role, bad.content, bad.additional_kwargs["name"]) == ("tool", "no", "x")
