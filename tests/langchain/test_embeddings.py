import asyncio

import numpy as np
import pytest
from langchain_chroma import Chroma
from langchain_core.documents import Document
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from encoders import WordEncoder
from multiretriever.core import InstructionSet, ParameterError
from multiretriever.core.errors import ElementTypeError, EncoderNotFoundError, QueryError
from multiretriever.langchain import InstructionEmbeddings


class _Embeddings:
    @property
    def embeddings_class(self):
        return InstructionEmbeddings

    @property
    def embedding_model_params(self):
        return {"encoder": WordEncoder(), "element_type": "step"}


class TestUnit(_Embeddings, EmbeddingsUnitTests):
    pass


class TestIntegration(_Embeddings, EmbeddingsIntegrationTests):
    pass


def test_query_has_the_instruction_and_documents_have_none():
    encoder = WordEncoder(instructions=InstructionSet.default())
    seen = []
    encode = encoder.encode_documents
    encoder.encode_documents = lambda texts: (seen.extend(texts), encode(texts))[1]
    embeddings = InstructionEmbeddings(encoder, element_type="step", context={"scope": "slack"})
    embeddings.embed_query("tell the channel")
    embeddings.embed_documents(["Send message"])
    assert encoder.query_batches == [
        ["Represent this requirement and scope for searching relevant steps of that scope:\n"
         "scope: slack\nrequirement: tell the channel"]
    ]  # fmt: skip
    assert seen == ["Send message"]


def test_bare_query_for_an_encoder_without_instructions():
    encoder = WordEncoder()
    InstructionEmbeddings(encoder, element_type="table").embed_query("laptops")
    assert encoder.query_batches == [["laptops"]]


def test_same_vectors_as_the_retriever(instructed):
    encoder = instructed.index.encoder
    instructed.retrieve("find records", "step", context={"scope": "core"})
    InstructionEmbeddings(encoder, element_type="step", context={"scope": "core"}).embed_query("find records")
    assert encoder.query_batches[-1] == encoder.query_batches[-2]


async def test_async_is_the_same(encoder):
    embeddings = InstructionEmbeddings(encoder, element_type="step")
    assert await embeddings.aembed_query("a b") == embeddings.embed_query("a b")
    assert await embeddings.aembed_documents(["a", "b"]) == embeddings.embed_documents(["a", "b"])
    assert embeddings.embed_documents([]) == []
    assert np.isclose(np.linalg.norm(embeddings.embed_query("a b")), 1)


async def test_event_loop_goes_on(slow_encoder):
    embeddings = InstructionEmbeddings(slow_encoder, element_type="step")
    for call in (embeddings.aembed_query("a"), embeddings.aembed_documents(["a"])):
        ticks = 0
        work = asyncio.create_task(call)
        while not work.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks > 10


def test_errors(encoder, tmp_path):
    with pytest.raises(ElementTypeError):
        InstructionEmbeddings(encoder, element_type="spaceship")
    with pytest.raises(ParameterError, match="context"):
        InstructionEmbeddings(encoder, element_type="step", context=5)
    with pytest.raises(EncoderNotFoundError):
        InstructionEmbeddings(tmp_path / "none", element_type="step")
    with pytest.raises(QueryError):
        InstructionEmbeddings(encoder, element_type="step").embed_query(" ")


async def test_in_a_chroma_store(tmp_path):
    # Many dimensions, so that no two of the few words fall together.
    embeddings = InstructionEmbeddings(WordEncoder(dimension=4096, instructions=InstructionSet.default()), element_type="step")
    store = Chroma("steps_of_langchain", embeddings, str(tmp_path), collection_configuration={"hnsw": {"space": "cosine"}})
    texts = {"a": "send a mail to the caller", "b": "reboot a server", "c": "order a laptop"}
    store.add_documents([Document(text, id=name) for name, text in texts.items()])
    assert store.similarity_search("reboot it", k=1)[0].id == "b"
    found = store.as_retriever(search_kwargs={"k": 1})
    assert [d.id for d in await found.ainvoke("a new laptop")] == ["c"]
    ((document, score),) = store.similarity_search_with_relevance_scores("mail the caller", k=1)
    assert document.id == "a"
    expected = np.dot(embeddings.embed_query("mail the caller"), embeddings.embed_documents([texts["a"]])[0])
    assert score == pytest.approx(expected, abs=1e-5)
