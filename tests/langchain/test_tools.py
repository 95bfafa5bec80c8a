import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tools import StructuredTool, tool

from multiretriever.core import CatalogError, ParameterError
from multiretriever.langchain import (
    CatalogItemRetriever,
    FieldRetriever,
    GroundingRunnable,
    StepRetriever,
    catalog_from_tools,
    grounding_tool,
    retriever_tool,
)


async def test_retriever_tool_shows_id_label_and_description(core):
    made = retriever_tool(StepRetriever(retriever=core, k=2))
    expected = "slack.send_message: Send message\nPosts a text to a channel\n\n"
    assert made.invoke({"query": "send a message text"}).startswith(expected)
    assert (await made.ainvoke({"query": "send a message text"})).startswith(expected)


def test_retriever_tool_without_label_or_description(core):
    assert retriever_tool(StepRetriever(retriever=core, k=1)).invoke("repeats for every item") == (
        "core.for_each\nRepeats steps for every item of a list"
    )
    assert retriever_tool(FieldRetriever(retriever=core, k=1, table="user")).invoke("email") == "core.user.email: Email"


def test_names_and_descriptions(core):
    made = retriever_tool(CatalogItemRetriever(retriever=core))
    assert made.name == "search_catalog_items"
    assert "catalog items" in made.description
    own = retriever_tool(CatalogItemRetriever(retriever=core), name="find", description="Finds orders.")
    assert (own.name, own.description) == ("find", "Finds orders.")
    assert list(made.args) == ["query"]


def test_text_of_elements_is_not_a_template(encoder):
    made = retriever_tool(StepRetriever.from_catalog(catalog_from_tools([StructuredTool.from_function(
        func=lambda: None, name="odd", description="Uses {page_content} and {0.__class__}")]), encoder=encoder))  # fmt: skip
    assert made.invoke("odd") == "tools.odd\nUses {page_content} and {0.__class__}"


async def test_grounding_tool(core):
    made = grounding_tool(GroundingRunnable(retriever=core, k={"step": 1, "field": 1}))
    shown = made.invoke({"query": "send a message text"})
    assert shown.startswith("# steps\n\nslack.send_message: Send message\nPosts a text to a channel\n\n# fields\n\ncore.")
    assert await made.ainvoke({"query": "send a message text"}) == shown
    assert made.name == "search_installation"
    assert "steps, fields" in made.description
    assert grounding_tool(GroundingRunnable(retriever=core), name="a", description="b").description == "b"
    nothing = grounding_tool(GroundingRunnable(retriever=core, k={"step": 1}, where={"scope": "nowhere"}))
    assert nothing.invoke("x") == "# steps\n\n(none)"


def test_callbacks_reach_the_runs_inside(core, recorder):
    class Chains(BaseCallbackHandler):
        names = []

        def on_chain_start(self, serialized, inputs, *, name=None, **kwargs):
            self.names.append(name)

    retriever_tool(StepRetriever(retriever=core)).invoke("channel", config={"callbacks": [recorder]})
    assert [start["query"] for start in recorder.starts] == ["channel"]
    grounding_tool(GroundingRunnable(retriever=core)).invoke("channel", config={"callbacks": [Chains()]})
    assert Chains.names == ["GroundingRunnable"]


@tool
def send_mail(to: str, subject: str = "", urgent: bool = False) -> str:
    """Sends a mail to a person."""
    return "sent"


def test_catalog_from_tools():
    titled = StructuredTool.from_function(
        func=lambda: None, name="ping", description="Pings a server", metadata={"title": "Ping it"}
    )
    raw = StructuredTool(
        name="raw", description="By schema", func=lambda **_: None,
        args_schema={"type": "object", "properties": {"host": {"type": "string"}}, "required": ["host"]},
    )  # fmt: skip
    catalog = catalog_from_tools([send_mail, titled, raw], scope="mcp")
    step = catalog.get("step", "mcp.send_mail")
    assert step.description == "Sends a mail to a person."
    assert [(i.name, i.type, i.required) for i in step.inputs] == [
        ("to", "string", True), ("subject", "string", False), ("urgent", "boolean", False)
    ]  # fmt: skip
    assert catalog.get("step", "mcp.ping").label == "Ping it"
    assert [i.name for i in catalog.get("step", "mcp.raw").inputs] == ["host"]
    assert catalog_from_tools([send_mail]).of("step")[0].scope == "tools"


def test_tools_that_are_refused():
    with pytest.raises(ParameterError, match="dict"):
        catalog_from_tools([{"name": "a"}])
    with pytest.raises(CatalogError, match="twice"):
        catalog_from_tools([send_mail, send_mail])
    with pytest.raises(CatalogError):
        catalog_from_tools([])

    class Odd:
        pass

    def use(value: Odd) -> None:
        """Uses it."""

    with pytest.raises(CatalogError, match=r"'use'.*JSON schema") as caught:
        catalog_from_tools([StructuredTool.from_function(use, infer_schema=False, args_schema=_odd_schema(Odd))])
    assert caught.value.__cause__ is not None


def _odd_schema(kind):
    from pydantic import ConfigDict, create_model

    return create_model("Args", __config__=ConfigDict(arbitrary_types_allowed=True), value=(kind, ...))
