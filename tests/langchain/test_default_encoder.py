"""The shipped encoder behind the LangChain classes."""

import pytest
from langchain_core.tools import StructuredTool

from multiretriever.core import EncoderError
from multiretriever.core.encoders import default_encoder
from multiretriever.langchain import InstructionEmbeddings, StepRetriever, ToolSelector

QUERY = "tell the people in the chat room"


@pytest.fixture(autouse=True)
def shipped():
    try:
        return default_encoder()
    except EncoderError as error:
        pytest.skip(str(error))


async def test_steps_by_meaning(catalog):
    retriever = StepRetriever.from_catalog(catalog, k=1, mode="dense")
    assert retriever.invoke("tell the people in the chat room")[0].id == "slack.send_message"
    assert (await retriever.abatch(["fetch rows from the database"]))[0][0].id == "core.look_up_records"
    retriever.close()


def test_embeddings(shipped):
    embeddings = InstructionEmbeddings(element_type="step")
    assert len(embeddings.embed_query(QUERY)) == shipped.dimension
    assert len(embeddings.embed_documents(["one", "two"])) == 2


def test_tools_by_meaning():
    about = {"post_message": "Posts a text to a channel", "open_ticket": "Opens an incident", "reboot": "Restarts a server"}
    tools = [StructuredTool.from_function(lambda: "", name=name, description=text) for name, text in about.items()]
    selector = ToolSelector(tools, k=1)
    assert [tool.name for tool in selector.select(QUERY)] == ["post_message"]
    assert [tool.name for tool in selector.select("the machine hangs, turn it off and on again")] == ["reboot"]
