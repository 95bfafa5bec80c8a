"""What the portion as a whole promises."""

import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

import multiretriever.llama_index as portion
from multiretriever.core import MultiRetriever
from multiretriever.core.encoders import default_encoder
from multiretriever.llama_index import GroundingRetriever, InstructionEmbeddings, StepRetriever, TableRetriever

QUERY = "post a message to the channel"


SUPPORT = Path(__file__).parents[1] / "support"


def run(code):
    command = [sys.executable, "-c", textwrap.dedent(code), str(SUPPORT)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_all_public_names_are_there():
    assert all(hasattr(portion, name) for name in portion.__all__)
    assert portion.__all__ == sorted(portion.__all__)


def test_without_llama_index_the_error_says_how_to_install_it():
    done = run("""
        import sys
        sys.modules["llama_index.core"] = None
        from multiretriever.core import MissingDependencyError
        try:
            import multiretriever.llama_index
        except MissingDependencyError as error:
            print(error, type(error.__cause__).__name__)
    """)
    assert 'pip install "multiretriever[llama-index]"' in done.stdout, done.stderr


def test_import_and_use_need_no_network_and_no_torch():
    done = run("""
        import asyncio, socket, sys

        def refuse(*args, **kwargs):
            raise AssertionError("the network was used")

        socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
        sys.path.insert(0, sys.argv[1])
        import encoders
        from llama_index.core.llms import MockLLM
        from llama_index.core.query_engine import RetrieverQueryEngine
        from multiretriever.core import Catalog, Step
        from multiretriever.llama_index import StepRetriever
        catalog = Catalog([Step(scope="slack", name="post_message")])
        retriever = StepRetriever.from_catalog(catalog, encoder=encoders.WordEncoder())
        print(retriever.retrieve("post")[0].node.node_id)
        print(asyncio.run(retriever.aretrieve("post"))[0].node.node_id)
        print(RetrieverQueryEngine.from_args(retriever, llm=MockLLM()).query("post").source_nodes[0].node.node_id)
        print([name for name in ("torch", "transformers", "langchain_core") if name in sys.modules])
    """)
    assert done.stdout.splitlines() == ["slack.post_message"] * 3 + ["[]"], done.stderr


def test_both_frameworks_give_the_same_elements(tmp_path, catalog, encoder, ids):
    if find_spec("langchain_core") is None:
        pytest.skip("langchain_core is not installed")
    from multiretriever import langchain

    ours = StepRetriever.from_catalog(catalog, tmp_path / "index", encoder=encoder, k=4)
    theirs = langchain.StepRetriever.from_path(tmp_path / "index", encoder=encoder, k=4)
    found, documents = ours.retrieve(QUERY), theirs.invoke(QUERY)
    assert ids(found) == [document.id for document in documents]
    assert [node.node.text for node in found] == [document.page_content for document in documents]
    scores = [document.metadata.pop("score") for document in documents]
    assert [node.score for node in found] == pytest.approx(scores)
    assert [node.node.metadata for node in found] == [document.metadata for document in documents]
    ours.close()
    theirs.close()


async def test_with_the_encoder_that_is_shipped(catalog, tmp_path, ids):
    steps = StepRetriever.from_catalog(catalog, tmp_path / "index", k=2)
    assert ids(steps.retrieve("tell my colleagues in the chat"))[0].startswith("slack.")
    assert ids(await TableRetriever(steps.retriever, k=1).aretrieve("an outage, something stopped working")) == ["core.incident"]
    found = await GroundingRetriever(steps.retriever, ["catalog_item"]).aground("I need a new notebook computer")
    assert ids(found["catalog_item"])[0] == "core.laptop"
    embeddings = InstructionEmbeddings(element_type="step")
    assert bool(embeddings.instruction) == (default_encoder().instructions is not None)
    assert embeddings.fingerprint == default_encoder().fingerprint
    assert len(embeddings.get_query_embedding("post")) == default_encoder().dimension
    steps.close()
    with MultiRetriever.open(tmp_path / "index") as again:
        assert again.retrieve("chat", "step")
