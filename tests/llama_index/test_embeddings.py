import pickle

import numpy as np
import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.core.storage.kvstore import SimpleKVStore

from encoders import WordEncoder
from multiretriever.core import EncoderMismatchError, Flow, Index, InstructionSet, MultiRetriever, ParameterError, QueryContext
from multiretriever.core.errors import ElementTypeError, EncoderNotFoundError, QueryError
from multiretriever.core.instructions import Template
from multiretriever.llama_index import InstructionEmbeddings, StepRetriever

TEXTS = ["post a message", "create a channel", "look up records"]
STEP = "Represent this requirement for searching relevant steps:"


@pytest.fixture
def embeddings(encoder):
    return InstructionEmbeddings(encoder, element_type="step")


def test_class():
    assert BaseEmbedding in InstructionEmbeddings.__mro__
    assert InstructionEmbeddings.class_name() == "InstructionEmbeddings"


def test_queries_get_the_instruction_and_texts_do_not(embeddings, encoder):
    assert embeddings.instruction == STEP
    query = embeddings.get_query_embedding("post")
    assert encoder.query_batches == [[f"{STEP}\nrequirement: post"]]
    assert query == encoder.encode_documents([f"{STEP}\nrequirement: post"])[0].tolist()
    assert embeddings.get_text_embedding("post") == encoder.encode_documents(["post"])[0].tolist()
    assert all(isinstance(value, float) for value in query)


def test_each_type_and_context_has_its_own_instruction(encoder):
    tables = InstructionEmbeddings(encoder, element_type="tables", context={"scope": "core"})
    assert tables.element_type == "table"
    assert tables.instruction == "Represent this requirement and scope for searching relevant tables of that scope:"
    tables.get_query_embedding("broken")
    assert encoder.query_batches == [[f"{tables.instruction}\nscope: core\nrequirement: broken"]]


def test_an_encoder_without_instructions_gets_the_bare_query():
    encoder = WordEncoder()
    embeddings = InstructionEmbeddings(encoder, element_type="step")
    embeddings.get_query_embedding("post: this")
    assert embeddings.instruction == ""
    assert encoder.query_batches == [["post: this"]]


def test_what_the_encoder_reads_is_what_it_reads_for_a_retriever(catalog):
    encoder = WordEncoder()
    with MultiRetriever(Index.from_catalog(catalog, encoder=encoder)) as multi:
        multi.retrieve("post", "step", context={"scope": "core"})
    InstructionEmbeddings(encoder, element_type="step", context={"scope": "core"}).get_query_embedding("post")
    assert encoder.query_batches[0] == encoder.query_batches[1]


@pytest.mark.parametrize("flow", ["requirement: r\nsteps:\n- {id: a, definition: d, scope: core, annotation: first}\n"])
def test_a_flow_is_a_context_too(encoder, multi, flow):
    context = QueryContext(text="annotation", flow=Flow.from_yaml(flow, source="test"))
    embeddings = InstructionEmbeddings(encoder, element_type="step", context=context)
    embeddings.get_query_embedding("second")
    assert encoder.query_batches == [[multi.prompt("second", "step", context=context).text]]
    assert "first" in encoder.query_batches[0][0]
    assert "first" in str(embeddings.to_dict())


def test_a_batch_is_one_pass(embeddings, encoder):
    calls = []
    encode = encoder.encode_documents
    encoder.encode_documents = lambda texts: calls.append(len(texts)) or encode(texts)
    vectors = embeddings.get_text_embedding_batch(TEXTS * 100)
    assert calls == [300]
    assert np.allclose(vectors, np.tile(encode(TEXTS), (100, 1)))
    assert embeddings.get_text_embedding_batch([]) == []


async def test_asynchronous_methods_give_the_same(embeddings):
    assert await embeddings.aget_query_embedding("post") == embeddings.get_query_embedding("post")
    assert await embeddings.aget_text_embedding("post") == embeddings.get_text_embedding("post")
    assert await embeddings.aget_text_embedding_batch(TEXTS) == embeddings.get_text_embedding_batch(TEXTS)


@pytest.mark.parametrize("method", ["aget_query_embedding", "aget_text_embedding", "aget_text_embedding_batch"])
async def test_the_event_loop_goes_on(embeddings, encoder, ticks, method):
    encoder.seconds = 0.3
    _, count = await ticks(getattr(embeddings, method)(["post"] if "batch" in method else "post"))
    assert count >= 10


def test_queries_and_texts_do_not_share_the_embeddings_cache(encoder):
    embeddings = InstructionEmbeddings(encoder, element_type="step", embeddings_cache=SimpleKVStore())
    query, text = embeddings.get_query_embedding("post"), embeddings.get_text_embedding("post")
    assert query != text
    assert embeddings.get_query_embedding("post") == query
    count = encoder.documents
    assert embeddings.get_text_embedding("post") == text
    assert encoder.documents == count


async def test_nor_do_they_asynchronously(encoder):
    embeddings = InstructionEmbeddings(encoder, element_type="step", embeddings_cache=SimpleKVStore())
    text = await embeddings.aget_text_embedding("post")
    assert await embeddings.aget_query_embedding("post") == embeddings.get_query_embedding("post") != text


class TestIngestion:
    """The cache must tell embeddings apart by what they are made of."""

    def run(self, cache, encoder, element_type="step", **options):
        before = encoder.documents
        pipeline = IngestionPipeline(
            transformations=[InstructionEmbeddings(encoder, element_type=element_type, **options)], cache=cache
        )
        nodes = pipeline.run(nodes=[TextNode(text=text, id_=text) for text in TEXTS])
        assert all(len(node.embedding) == encoder.dimension for node in nodes)
        return encoder.documents - before

    def test_the_same_settings_hit(self, encoder):
        cache = IngestionCache()
        assert self.run(cache, encoder, context={"scope": "core"}) == 3
        assert self.run(cache, encoder, context={"scope": "core"}) == 0
        # Another object that is the same encoder.
        assert self.run(cache, WordEncoder(instructions=InstructionSet.default()), context={"scope": "core"}) == 0

    @pytest.mark.parametrize(
        "other",
        [
            lambda default: WordEncoder(name="other", instructions=default),
            lambda default: WordEncoder(dimension=32, instructions=default),
            lambda default: WordEncoder(),
            lambda default: WordEncoder(
                instructions=default.with_templates([Template(id="step.requirement", element_type="step", instruction="Find:")])
            ),
        ],
        ids=["name", "fingerprint", "no instructions", "instruction"],
    )
    def test_another_encoder_or_instruction_misses(self, encoder, other):
        cache = IngestionCache()
        assert self.run(cache, encoder) == 3
        assert self.run(cache, other(InstructionSet.default())) == 3

    @pytest.mark.parametrize("options", [{"element_type": "table"}, {"context": {"scope": "core"}}, {"context": {"team": "a"}}])
    def test_another_type_or_context_misses(self, encoder, options):
        cache = IngestionCache()
        assert self.run(cache, encoder) == 3
        assert self.run(cache, encoder, **options) == 3

    async def test_asynchronously(self, embeddings, encoder):
        pipeline = IngestionPipeline(transformations=[embeddings])
        for _ in range(2):
            nodes = await pipeline.arun(nodes=[TextNode(text=text) for text in TEXTS])
        assert len(nodes) == 3
        assert encoder.documents == 3


async def test_in_a_vector_store_index(embeddings, encoder):
    index = VectorStoreIndex([TextNode(text=text, id_=text) for text in TEXTS], embed_model=embeddings)
    retriever = index.as_retriever(similarity_top_k=1)
    encoder.query_batches.clear()
    assert [node.node.node_id for node in retriever.retrieve("create the channel")] == ["create a channel"]
    assert [node.node.node_id for node in await retriever.aretrieve("look up the records")] == ["look up records"]
    assert encoder.query_batches[0][0].startswith(STEP)


def test_its_query_vectors_are_those_of_the_retriever(multi, embeddings, ids):
    retriever = StepRetriever(multi, mode="dense")
    plain = retriever.retrieve("post a message")
    given = retriever.retrieve(QueryBundle("x", embedding=embeddings.get_query_embedding("post a message")))
    assert ids(given) == ids(plain)
    assert [node.score for node in given] == pytest.approx([node.score for node in plain], abs=1e-6)


def test_to_dict_and_back(embeddings, encoder):
    values = embeddings.to_dict()
    assert values["instruction"] == STEP
    assert values["model_name"] == "words"
    assert values["fingerprint"] == encoder.fingerprint
    back = InstructionEmbeddings.from_dict(values, encoder=encoder)
    assert back.to_dict() == values
    with pytest.raises(EncoderMismatchError, match=encoder.fingerprint):
        InstructionEmbeddings.from_dict({**values, "model_name": "small"}, encoder=WordEncoder(name="small", dimension=32))


def test_pickling_keeps_the_encoder(embeddings, multi):
    embeddings = InstructionEmbeddings(WordEncoder(dimension=32), element_type="table", context={"scope": "core"})
    back = pickle.loads(pickle.dumps(embeddings))
    assert back.to_dict() == embeddings.to_dict()
    assert back.get_query_embedding("broken") == embeddings.get_query_embedding("broken")


def test_pickling_an_encoder_that_cannot_be_says_so(encoder):
    encoder.session = (item for item in ())
    with pytest.raises(TypeError, match="generator"):
        pickle.dumps(InstructionEmbeddings(encoder, element_type="step"))


def test_errors_are_typed(encoder, tmp_path, embeddings):
    with pytest.raises(EncoderNotFoundError):
        InstructionEmbeddings(tmp_path / "none", element_type="step")
    with pytest.raises(ElementTypeError, match="gadget"):
        InstructionEmbeddings(encoder, element_type="gadget")
    with pytest.raises(ParameterError, match="context"):
        InstructionEmbeddings(encoder, element_type="step", context=3)
    with pytest.raises(QueryError):
        embeddings.get_query_embedding(" ")
