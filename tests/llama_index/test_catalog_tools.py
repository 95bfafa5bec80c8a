"""The steps of a catalog as tools of LlamaIndex: shown with their schema, run only with arguments that fit."""

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.mock import MockFunctionCallingLLM

from encoders import WordEncoder
from multiretriever.core import Catalog, CatalogError, Step
from multiretriever.core.elements import StepInput
from multiretriever.grounding.tool_check import OperationError
from multiretriever.llama_index import ToolSelector, tools_from_catalog

# Names that tools of frameworks and pydantic use themselves.
ODD = ("self", "ctx", "input", "args", "kwargs", "schema", "copy", "from", "model_config", "model_fields")
STEPS = [
    Step(scope="shop", name="wipe", label="Wipe a laptop", inputs=(StepInput(name="id", required=True),)),
    Step(scope="shop", name="odd", inputs=tuple(StepInput(name=name) for name in ODD)),
    Step(scope="shop", name="list"),
]


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


class TestTools:
    def test_a_schema_with_references_is_shown(self, service):
        node = {"type": "object", "properties": {"below": {"$ref": "#/$defs/Node"}}}
        given = {"type": "object", "properties": {"node": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}}
        (tool,) = tools_from_catalog(Catalog([Step(name="a", input_schema=given)]), service)
        shown = tool.metadata.get_parameters_dict()
        assert shown["properties"] == {"node": {"type": "object", "properties": {"below": {"type": "object"}}}}

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
