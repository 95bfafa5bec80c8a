from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.objects import ObjectRetriever
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import FunctionTool, RetrieverTool, ToolMetadata
from pydantic import BaseModel

from encoders import WordEncoder
from multiretriever.core import CatalogError, ParameterError
from multiretriever.core.errors import QueryError
from multiretriever.llama_index import (
    CatalogItemRetriever,
    GroundingRetriever,
    StepRetriever,
    ToolSelector,
    catalog_from_tools,
    retriever_tool,
)

VERBS = ["create", "delete", "list", "update", "archive", "export", "share", "lock", "rename", "approve"]
THINGS = ["invoice", "ticket", "user", "server", "laptop", "contract", "meeting", "channel", "report", "license"]


class FakeLLM(FunctionCallingLLM):
    """Calls the tool that it is told to, where it is offered, and then says what came of it."""

    wanted: str
    offered: list[list[str]] = []

    @property
    def metadata(self):
        return LLMMetadata(is_function_calling_model=True, is_chat_model=True)

    def _prepare_chat_with_tools(self, tools, user_msg=None, chat_history=None, **kwargs: Any):
        self.offered.append([tool.metadata.name for tool in tools])
        return {"messages": chat_history or []}

    def get_tool_calls_from_response(self, response, error_on_no_tool_call=True, **kwargs: Any):
        return response.message.additional_kwargs.get("calls", [])

    async def achat(self, messages, **kwargs: Any):
        results = [message.content for message in messages if message.role == "tool"]
        if results:
            return ChatResponse(message=ChatMessage(role="assistant", content=f"done: {results[-1]}"))
        call = ToolSelection(tool_id="1", tool_name=self.wanted, tool_kwargs={"name": "x"})
        chosen = [call] if self.wanted in self.offered[-1] else []
        return ChatResponse(message=ChatMessage(role="assistant", content="", additional_kwargs={"calls": chosen}))

    def chat(self, messages, **kwargs: Any):
        raise NotImplementedError

    def complete(self, prompt, formatted=False, **kwargs: Any):
        return CompletionResponse(text="")

    async def acomplete(self, prompt, formatted=False, **kwargs: Any):
        return CompletionResponse(text="")

    def stream_chat(self, messages, **kwargs: Any):
        raise NotImplementedError

    def stream_complete(self, prompt, formatted=False, **kwargs: Any):
        raise NotImplementedError

    async def astream_chat(self, messages, **kwargs: Any):
        raise NotImplementedError

    async def astream_complete(self, prompt, formatted=False, **kwargs: Any):
        raise NotImplementedError


def tool(name, description=None):
    def run(name: str) -> str:
        return f"{tool_name} of {name}"

    tool_name = name
    return FunctionTool.from_defaults(run, name=name, description=description or name.replace("_", " "))


@pytest.fixture(scope="module")
def many():
    names = [f"{verb}_{thing}_{number:02}" for verb in VERBS for thing in THINGS for number in range(20)]
    described = {name: f"Can {' a '.join(name.split('_')[:2])} of department {name[-2:]}" for name in names}
    return [tool(name, described[name]) for name in names]


@pytest.fixture(scope="module")
def selector(many):
    selector = ToolSelector(many, encoder=WordEncoder(dimension=512), k=10)
    yield selector
    selector.close()


class TestCatalog:
    def test_tools_become_steps(self):
        def post_message(channel: str, text: str = "") -> str:
            """Posts a message.

            Into a channel.
            """
            return channel + text

        catalog = catalog_from_tools([FunctionTool.from_defaults(post_message)], scope="chat")
        (step,) = catalog.of("step")
        assert (step.id, step.scope, step.name) == ("chat.post_message", "chat", "post_message")
        assert step.description.startswith("Posts a message.")
        assert [(item.name, item.required) for item in step.inputs] == [("channel", True), ("text", False)]

    def test_the_description_is_kept_where_it_is_no_signature(self):
        (step,) = catalog_from_tools([tool("add", "add numbers\nand more")]).of("step")
        assert step.description == "add numbers\nand more"
        assert step.id == "tools.add"

    def test_retriever_tools_are_tools_too(self, multi):
        assert catalog_from_tools([retriever_tool(StepRetriever(multi))]).get("step", "tools.search_steps")

    def test_what_is_wrong_is_a_typed_error(self):
        class Odd(BaseModel, arbitrary_types_allowed=True):
            value: WordEncoder

        odd = FunctionTool.from_defaults(lambda value: value, name="odd", description="odd", fn_schema=Odd)
        with pytest.raises(CatalogError, match="a_tool"):
            catalog_from_tools([tool("a_tool"), tool("a_tool")])
        with pytest.raises(CatalogError):
            catalog_from_tools([])
        with pytest.raises(CatalogError, match="JSON schema"):
            catalog_from_tools([odd])
        with pytest.raises(CatalogError, match="name"):
            catalog_from_tools([FunctionTool(len, ToolMetadata(description="x", name=None))])
        with pytest.raises(ParameterError, match="function"):
            catalog_from_tools([lambda: None])


class TestToolSelector:
    async def test_the_right_tool_is_the_first_of_k(self, selector, many):
        assert isinstance(selector, ObjectRetriever)
        query = "archive a contract of department 07"
        chosen = selector.select(query)
        assert len(chosen) == 10
        assert chosen[0] is next(item for item in many if item.metadata.name == "archive_contract_07")
        assert selector.retrieve(query) == selector.retrieve(QueryBundle(query)) == chosen
        assert await selector.aretrieve(query) == await selector.aretrieve(QueryBundle(query)) == chosen
        assert await selector.aselect(query) == chosen

    async def test_an_agent_is_offered_k_of_2000_tools_and_calls_the_right_one(self, selector, many):
        assert len(many) == 2000
        llm = FakeLLM(wanted="archive_contract_07", offered=[])
        agent = FunctionAgent(tool_retriever=selector, llm=llm, streaming=False)
        response = await agent.run("Please archive the contract of department 07")
        assert str(response) == "done: archive_contract_07 of x"
        assert [len(names) for names in llm.offered] == [10, 10]
        assert "archive_contract_07" in llm.offered[0]

    async def test_in_a_workflow_of_agents_beside_other_tools(self, selector):
        llm = FakeLLM(wanted="lock_server_13", offered=[])
        agent = FunctionAgent(
            name="operator", description="d", tools=[tool("always")], tool_retriever=selector, llm=llm, streaming=False
        )
        response = await AgentWorkflow(agents=[agent], root_agent="operator").run("lock the server of department 13")
        assert str(response) == "done: lock_server_13 of x"
        assert len(llm.offered[0]) == 11
        assert "always" in llm.offered[0]

    async def test_a_tool_is_always_found_by_its_name(self, selector, many):
        """Or else an agent could not call what it was offered."""
        for item in many[::200]:
            for found in (selector.retrieve(item.metadata.name), await selector.aretrieve(item.metadata.name)):
                assert found[0] is item
                assert len(found) == len({tool.metadata.name for tool in found}) == 10

    async def test_a_message_without_text_chooses_no_tool(self, selector):
        assert selector.retrieve("") == await selector.aretrieve(QueryBundle(" ")) == []
        with pytest.raises(QueryError):
            selector.select("")

    def test_k_and_mode(self, many):
        selector = ToolSelector(many[:5], encoder=WordEncoder(), k=2, mode="lexical")
        assert selector.select("create invoice 03")[0].metadata.name == "create_invoice_03"
        assert len(selector.select("create")) == selector.k == 2
        assert len(selector.tools) == 5
        selector.close()

    async def test_the_event_loop_goes_on(self, encoder, ticks):
        selector = ToolSelector([tool("a_tool")], encoder=encoder)
        encoder.seconds = 0.3
        chosen, count = await ticks(selector.aretrieve("tool"))
        assert len(chosen) == 1
        assert count >= 10

    def test_what_is_wrong_is_told_before_anything_is_indexed(self, many, encoder):
        with pytest.raises(ParameterError, match="k is"):
            ToolSelector(many, encoder=encoder, k=0)
        with pytest.raises(ParameterError, match="best"):
            ToolSelector(many, encoder=encoder, mode="best")
        assert encoder.documents == 0


class TestRetrieverTool:
    def test_names_and_descriptions(self, multi):
        made = retriever_tool(CatalogItemRetriever(multi))
        assert isinstance(made, RetrieverTool)
        assert made.metadata.name == "search_catalog_items"
        assert "catalog items" in made.metadata.description
        assert retriever_tool(GroundingRetriever(multi)).metadata.name == "search_installation"
        given = retriever_tool(StepRetriever(multi), name="find", description="Finds.").metadata
        assert (given.name, given.description) == ("find", "Finds.")

    @pytest.mark.parametrize("call", [lambda made, text: made(text), lambda made, text: made.call(input=text)])
    def test_it_searches_for_just_what_the_model_wrote(self, multi, encoder, call):
        output = call(retriever_tool(StepRetriever(multi, k=1)), "post a message")
        assert encoder.query_batches == [[multi.prompt("post a message", "step").text]]
        assert "id: slack.post_message" in output.content
        assert [node.node.node_id for node in output.raw_output] == ["slack.post_message"]
        assert output.raw_input == {"input": "post a message"}

    async def test_an_agent_calls_it(self, multi, encoder):
        made = retriever_tool(StepRetriever(multi, k=1))
        output = await made.acall(input="post a message")
        assert encoder.query_batches == [[multi.prompt("post a message", "step").text]]
        assert "id: slack.post_message" in output.content
        with pytest.raises(QueryError):
            await made.acall()
