import threading
from typing import Any

import numpy as np
import pytest
from llama_index.core import MockEmbedding
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.storage.kvstore import SimpleKVStore

from encoders import WordEncoder
from multiretriever.core import (
    Encoder,
    EncoderError,
    EncoderMismatchError,
    Index,
    InstructionSet,
    MultiRetriever,
    ParameterError,
)
from multiretriever.llama_index import LlamaIndexEncoder, StepRetriever


class Words(BaseEmbedding):
    """Queries and documents have different vectors, as of many hosted models."""

    api_key: str = "secret"
    dimensions: int = 64
    revision: str | None = None
    options: dict[str, Any] = {}
    scale: float = 3.0
    calls: list[tuple[str, int]] = []

    def _get_query_embedding(self, query):
        self.calls.append(("query", 1))
        return self._vectors(["query " + query])[0]

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text):
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts):
        self.calls.append(("texts", len(texts)))
        return self._vectors(texts)

    def _vectors(self, texts):
        return (WordEncoder(dimension=self.dimensions).encode_documents(texts) * self.scale).tolist()


class Broken(Words):
    """Fails as a hosted model does."""

    answer: Any = None

    def _vectors(self, texts):
        if self.answer is None:
            raise ConnectionError("the line is cut")
        return self.answer


def make(cls=Words, **values):
    return cls(**{"model_name": "words", "embed_batch_size": 100, **values, "calls": []})


def test_it_is_an_encoder_with_unit_vectors():
    model = make()
    encoder = LlamaIndexEncoder(model)
    assert isinstance(encoder, Encoder)
    documents, queries = encoder.encode_documents(["a b", "c"]), encoder.encode_queries(["a b"])
    assert documents.dtype == queries.dtype == np.float32
    assert documents.shape == (2, 64)
    assert np.allclose(np.linalg.norm(documents, axis=1), 1)
    assert np.allclose(documents, WordEncoder().encode_documents(["a b", "c"]))
    assert np.allclose(queries, WordEncoder().encode_documents(["query a b"]))
    assert encoder.embedding is model


def test_nothing_to_encode_is_an_empty_array():
    encoder = LlamaIndexEncoder(make())
    assert encoder.encode_documents([]).shape == encoder.encode_queries([]).shape == (0, 64)


def test_the_dimension_is_looked_up_once_and_not_before_it_is_needed():
    model = make()
    encoder = LlamaIndexEncoder(model, fingerprint="mine")
    assert encoder.name == "words"
    assert encoder.fingerprint == "mine"
    assert model.calls == []
    threads = [threading.Thread(target=lambda: encoder.dimension) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert encoder.dimension == 64
    assert model.calls == [("texts", 1)]


def test_documents_go_in_batches_of_the_model():
    model = make(embed_batch_size=4)
    LlamaIndexEncoder(model).encode_documents(["x"] * 10)
    assert [count for _, count in model.calls if count > 1] == [4, 4, 2]


def test_the_document_prompt_stands_before_documents_only():
    encoder = LlamaIndexEncoder(make(), document_prompt="passage: ")
    assert np.allclose(encoder.encode_documents(["a"]), WordEncoder().encode_documents(["passage: a"]))
    assert np.allclose(encoder.encode_queries(["a"]), WordEncoder().encode_documents(["query a"]))


def test_names():
    assert LlamaIndexEncoder(make(), name="ours").name == "ours"
    assert LlamaIndexEncoder(MockEmbedding(8)).name == "MockEmbedding"


@pytest.mark.parametrize(
    "values",
    [{"model_name": "other"}, {"dimensions": 32}, {"revision": "2"}, {"options": {"truncate": True}}, {"cls": Broken}],
    ids=str,
)
def test_the_fingerprint_changes_with_the_model(values):
    first = LlamaIndexEncoder(make()).fingerprint
    other = LlamaIndexEncoder(make(**({"answer": [[1.0] * 64], **values} if "cls" in values else values))).fingerprint
    assert other != first == LlamaIndexEncoder(make()).fingerprint


def test_the_fingerprint_changes_with_the_document_prompt():
    assert LlamaIndexEncoder(make(), document_prompt="x").fingerprint != LlamaIndexEncoder(make()).fingerprint


@pytest.mark.parametrize("values", [{"api_key": "other"}, {"embed_batch_size": 7}, {"num_workers": 3}], ids=str)
def test_the_fingerprint_does_not_change_with_what_changes_no_vector(values):
    assert LlamaIndexEncoder(make(**values)).fingerprint == LlamaIndexEncoder(make()).fingerprint


def test_the_embeddings_cache_does_not_mix_queries_with_documents():
    model = make(embeddings_cache=SimpleKVStore())
    encoder = LlamaIndexEncoder(model)
    query = encoder.encode_queries(["a"])
    assert not np.allclose(encoder.encode_documents(["a"]), query)
    assert np.allclose(encoder.encode_queries(["a"]), query)
    assert model.embeddings_cache is not None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "the line is cut"),
        ([[0.0] * 64], "zero"),
        ([[float("nan")] * 64], "non-finite"),
        ([["a"] * 64], "valid number"),
        ([None], "words"),
        ([[1.0] * 63], "63"),
    ],
)
def test_what_goes_wrong_is_a_typed_error(answer, message):
    model = make(Broken, answer=[[1.0] * 64])
    encoder = LlamaIndexEncoder(model)
    assert encoder.dimension == 64
    model.answer = answer
    with pytest.raises(EncoderError, match=message) as documents:
        encoder.encode_documents(["a"])
    with pytest.raises(EncoderError, match=message):
        encoder.encode_queries(["a"])
    if answer is None:
        assert isinstance(documents.value.__cause__, ConnectionError)


def test_a_model_that_gives_too_few_vectors():
    model = make(Broken, answer=[[1.0] * 64])
    with pytest.raises(EncoderError, match="2 texts"):
        LlamaIndexEncoder(model).encode_documents(["a", "b"])


def test_a_failing_probe_is_a_typed_error_and_can_be_tried_again():
    model = make(Broken)
    encoder = LlamaIndexEncoder(model)
    with pytest.raises(EncoderError, match="the line is cut"):
        _ = encoder.dimension
    model.answer = [[1.0] * 64]
    assert encoder.dimension == 64


@pytest.mark.parametrize("wrong", ["local:model", None, WordEncoder()])
def test_something_else_than_an_embedding_model(wrong):
    with pytest.raises(ParameterError, match=type(wrong).__name__):
        LlamaIndexEncoder(wrong)


def test_an_index_over_it(catalog, tmp_path, ids):
    encoder = LlamaIndexEncoder(make(), instructions=InstructionSet.default())
    retriever = StepRetriever.from_catalog(catalog, tmp_path / "index", encoder=encoder, mode="dense")
    assert ids(retriever.retrieve("post message, send a message to a channel"))[0] == "slack.post_message"
    retriever.close()
    with pytest.raises(EncoderMismatchError, match="words"):
        Index.open(tmp_path / "index", encoder=LlamaIndexEncoder(make(model_name="other")))
    with MultiRetriever.open(tmp_path / "index", encoder=LlamaIndexEncoder(make())) as again:
        assert again.retrieve("post", "step")


def test_an_outage_reaches_the_caller_as_our_error(catalog):
    encoder = LlamaIndexEncoder(make(), fingerprint="one")
    retriever = StepRetriever.from_catalog(catalog, encoder=encoder)
    retriever.retriever.index.encoder = LlamaIndexEncoder(make(Broken), fingerprint="one")
    with pytest.raises(EncoderError, match="the line is cut"):
        retriever.retrieve("post")
    with pytest.raises(EncoderError, match="the line is cut"):
        StepRetriever.from_catalog(catalog, encoder=LlamaIndexEncoder(make(Broken)))
