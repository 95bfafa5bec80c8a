"""The steps of a catalog as tools of LangChain: shown with their schema, run only with arguments that fit."""

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from encoders import WordEncoder
from multiretriever.core import Catalog, CatalogError, Step
from multiretriever.core.elements import StepInput
from multiretriever.grounding.tool_check import OperationError
from multiretriever.langchain import ToolSelector, tools_from_catalog
from scripted_agents import ScriptedModel

# Names that tools of frameworks use themselves.
ODD = ("self", "config", "run_manager", "callbacks", "args", "kwargs", "input", "schema", "copy", "from")
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
    return {tool.name: tool for tool in tools_from_catalog(Catalog(STEPS), service)}


class TestTools:
    def test_a_schema_with_references_is_shown(self, service):
        node = {"type": "object", "properties": {"below": {"$ref": "#/$defs/Node"}}}
        given = {"type": "object", "properties": {"node": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}}
        (tool,) = tools_from_catalog(Catalog([Step(name="a", input_schema=given)]), service)
        shown = convert_to_openai_tool(tool)["function"]["parameters"]
        assert shown["properties"] == {"node": {"type": "object", "properties": {"below": {"type": "object"}}}}

    def test_a_model_is_shown_the_schema(self, tools):
        shown = convert_to_openai_tool(tools["shop_wipe"])["function"]
        assert (shown["name"], shown["description"]) == ("shop_wipe", "Wipe a laptop")
        assert shown["parameters"]["required"] == ["id"]
        assert shown["parameters"]["properties"] == {"id": {"type": "string"}}

    async def test_run_with_what_fits(self, tools, service):
        assert tools["shop_wipe"].invoke({"id": "7"}) == '{"done": "wipe"}'
        assert await tools["shop_wipe"].ainvoke({"id": "7"}) == '{"done": "wipe"}'
        assert service.called == [("shop.wipe", {"id": "7"})] * 2

    async def test_arguments_may_have_any_name(self, tools, service):
        arguments = {name: "x" for name in ODD}
        call = {"name": "shop_odd", "args": arguments, "id": "1", "type": "tool_call"}
        assert tools["shop_odd"].invoke(call).status == (await tools["shop_odd"].ainvoke(call)).status == "success"
        assert service.called == [("shop.odd", arguments)] * 2

    @pytest.mark.parametrize("arguments", [{}, {"id": 7}, {"id": "7", "all": True}])
    async def test_what_does_not_fit_is_told_and_not_run(self, tools, service, arguments):
        call = {"name": "shop_wipe", "args": arguments, "id": "1", "type": "tool_call"}
        for message in (tools["shop_wipe"].invoke(call), await tools["shop_wipe"].ainvoke(call)):
            assert isinstance(message, ToolMessage)
            assert message.status == "error"
            assert "nothing was run" in message.content
        assert service.called == []

    def test_errors_of_the_service_are_told(self, tools):
        message = tools["shop_wipe"].invoke({"name": "shop_wipe", "args": {"id": "404"}, "id": "1", "type": "tool_call"})
        assert (message.status, message.content) == ("error", "the call failed: there is none")

    def test_with_the_selector_and_an_agent(self, tools, service):
        selector = ToolSelector(list(tools.values()), encoder=WordEncoder(), k=1)
        model = ScriptedModel(answers=iter([[("shop_wipe", {"id": "7"})], "done"]))
        agent = create_agent(model, middleware=[selector.as_middleware()])
        result = agent.invoke({"messages": [HumanMessage("wipe a laptop")]})
        assert [message.content for message in result["messages"]][-2:] == ['{"done": "wipe"}', "done"]
        assert [offered for offered, *_ in model.seen] == [["shop_wipe"]] * 2
        assert service.called == [("shop.wipe", {"id": "7"})]
        selector.close()

    def test_a_catalog_without_steps(self, service):
        with pytest.raises(CatalogError):
            tools_from_catalog(Catalog([]), service)
