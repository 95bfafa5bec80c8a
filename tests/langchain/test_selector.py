import asyncio
import subprocess
import sys

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import StructuredTool, tool
from pydantic import BaseModel

from encoders import WordEncoder
from multiretriever.core import CatalogError, ParameterError
from multiretriever.core.errors import QueryError
from multiretriever.langchain import ToolSelector

VERBS = ("create", "delete", "list", "update", "archive", "share", "export", "approve", "assign", "close")
NOUNS = tuple(f"{a}{b}" for a in ("mail", "user", "ticket", "server", "invoice", "laptop", "group", "policy", "report", "backup")
              for b in ("", "_rule", "_owner", "_note", "_label", "_limit", "_alert", "_group", "_field", "_link", "_task",
                        "_view", "_queue", "_key", "_log", "_tag", "_form", "_slot", "_plan", "_code"))  # fmt: skip
CALLED = []


class Arguments(BaseModel):
    target: str = ""


def make_tool(verb, noun):
    def run(target: str = "") -> str:
        CALLED.append(f"{verb}_{noun}")
        return f"did {verb} {noun}"

    words = noun.replace("_", " ")
    return StructuredTool.from_function(run, name=f"{verb}_{noun}", description=f"Can {verb} a {words}.", args_schema=Arguments)


class ScriptedModel(GenericFakeChatModel):
    """Calls one tool, then ends; keeps which tools it was offered."""

    offered: list = []
    bound: list = []

    def bind_tools(self, tools, **kwargs):
        self.offered.append([item["name"] if isinstance(item, dict) else item.name for item in tools])
        return self


def script(name):
    call = {"name": name, "args": {"target": "x"}, "id": "1", "type": "tool_call"}
    return ScriptedModel(messages=iter([AIMessage("", tool_calls=[call]), AIMessage("done")]), offered=[])


@pytest.fixture(scope="module")
def tools():
    made = [make_tool(verb, noun) for verb in VERBS for noun in NOUNS]
    assert len(made) == 2000
    return made


@pytest.fixture(scope="module")
def selector(tools):
    selector = ToolSelector(tools, encoder=WordEncoder(dimension=1024), k=10)
    yield selector
    selector.close()


QUERY = "please archive the server alert"
RIGHT = "archive_server_alert"


async def test_selects_for_text_and_messages(selector):
    chosen = selector.select(QUERY)
    assert len(chosen) == 10
    assert chosen[0].name == RIGHT
    assert chosen[0] is selector.tools[[t.name for t in selector.tools].index(RIGHT)]
    conversation = [SystemMessage("Help."), HumanMessage("delete a user"), AIMessage("ok"), HumanMessage(QUERY),
                    AIMessage(""), ToolMessage("create a report", tool_call_id="1")]  # fmt: skip
    names = [t.name for t in chosen]
    for found in (selector.select(conversation), await selector.aselect(conversation), selector.invoke(QUERY),
                  await selector.ainvoke(conversation), *selector.batch([QUERY, conversation])):  # fmt: skip
        assert [t.name for t in found] == names


def test_messages_without_a_human_and_of_parts(selector):
    assert selector.select([AIMessage(QUERY)])[0].name == RIGHT
    parts = [{"type": "text", "text": QUERY}, {"type": "image", "url": "http://x"}]
    assert selector.select([HumanMessage(parts)])[0].name == RIGHT
    assert selector.select([HumanMessage("word " * 40_000 + QUERY)])
    for empty in ([], [HumanMessage(" ")]):
        with pytest.raises(QueryError, match="no message has text"):
            selector.select(empty)


def test_as_a_runnable(selector):
    chain = selector | (lambda chosen: [t.name for t in chosen])
    assert chain.invoke(QUERY)[0] == RIGHT
    assert selector.get_input_jsonschema()


def test_arguments(tools, encoder):
    few = tools[:3]
    for arguments, error in (({"k": 0}, ParameterError), ({"mode": "x"}, ParameterError)):
        with pytest.raises(error):
            ToolSelector(few, encoder=encoder, **arguments)
    assert encoder.documents == 0
    with pytest.raises(CatalogError):
        ToolSelector([], encoder=encoder)
    small = ToolSelector(few, encoder=encoder, k=50, mode="lexical")
    assert small.retriever.mode == "lexical"
    assert len(small.select("create mail rule")) <= 3
    small.close()


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_agent_is_offered_only_the_selected_tools(selector, tools, how):
    CALLED.clear()
    model = script(RIGHT)
    agent = create_agent(model, tools, middleware=[selector.as_middleware()])
    state = {"messages": [HumanMessage(QUERY)]}
    result = agent.invoke(state) if how == "invoke" else await agent.ainvoke(state)
    assert [len(names) for names in model.offered] == [10, 10]
    assert RIGHT in model.offered[0]
    assert CALLED == [RIGHT]
    assert [m.content for m in result["messages"]] == [QUERY, "", "did archive server_alert", "done"]


def test_agent_gets_the_tools_from_the_middleware_and_keeps_its_own(selector):
    @tool
    def think(thought: str) -> str:
        """Writes a thought down."""
        return thought

    CALLED.clear()
    model = script(RIGHT)
    agent = create_agent(model, [think, {"type": "web_search", "name": "web_search"}], middleware=[selector.as_middleware()])
    agent.invoke({"messages": [HumanMessage(QUERY)]})
    assert len(model.offered[0]) == 12
    assert model.offered[0][0] == RIGHT
    assert model.offered[0][-2:] == ["think", "web_search"]
    assert CALLED == [RIGHT]


def test_offered_tools_follow_the_conversation(selector):
    model = ScriptedModel(messages=iter([AIMessage("one"), AIMessage("two")]), offered=[])
    agent = create_agent(model, middleware=[selector.as_middleware()])
    first = agent.invoke({"messages": [HumanMessage(QUERY)]})
    agent.invoke({"messages": [*first["messages"], HumanMessage("export the invoice plan")]})
    assert [names[0] for names in model.offered] == [RIGHT, "export_invoice_plan"]


async def test_event_loop_goes_on(tools, slow_encoder):
    selector = ToolSelector(tools[:3], encoder=slow_encoder)
    ticks = 0
    work = asyncio.create_task(selector.aselect("create mail"))
    while not work.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 10


def without(module, code):
    block = f"import sys; sys.modules[{module!r}] = None\n"
    return subprocess.run([sys.executable, "-c", block + code], capture_output=True, text=True, timeout=120, check=False)


def test_langchain_core_is_asked_for_by_name():
    done = without("langchain_core", "import multiretriever.langchain")
    assert "MissingDependencyError" in done.stderr
    assert 'pip install "multiretriever[langchain]"' in done.stderr


def test_langchain_is_needed_for_middleware_only():
    done = without("langchain", "import multiretriever.langchain\nprint('fine')\nimport multiretriever.langchain.middleware")
    assert done.stdout.strip() == "fine"
    assert 'pip install "multiretriever[llm]"' in done.stderr
