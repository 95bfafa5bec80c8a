import threading

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

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
from multiretriever.langchain import LangChainEncoder, StepRetriever


class Words(Embeddings):
    """LangChain embeddings whose vectors are not of unit length."""

    def __init__(self, model="words-1", dimension=64):
        self.model = model
        self.api_key = "secret"
        self._encoder = WordEncoder(dimension=dimension)
        self.documents = []
        self.queries = []
        self.threads = set()

    def embed_documents(self, texts):
        self.documents.append(list(texts))
        return (self._encoder.encode_documents(texts) * 7).tolist()

    def embed_query(self, text):
        self.queries.append(text)
        self.threads.add(threading.get_ident())
        return (self._encoder.encode_queries([text])[0] * 3).tolist()


class Broken(Words):
    def embed_documents(self, texts):
        raise ConnectionError("no route to the model")

    embed_query = embed_documents


def test_is_an_encoder():
    encoder = LangChainEncoder(Words())
    assert isinstance(encoder, Encoder)
    assert encoder.name == "words-1"
    assert encoder.instructions is None
    assert LangChainEncoder(Words(), name="mine").name == "mine"
    assert LangChainEncoder(Words(model=None)).name == "Words"


def test_dimension_is_found_by_one_probe_and_only_when_asked_for():
    words = Words(dimension=32)
    encoder = LangChainEncoder(words)
    assert words.documents == []
    assert (encoder.dimension, encoder.dimension) == (32, 32)
    assert encoder.fingerprint
    assert [len(texts) for texts in words.documents] == [1]


def test_unit_vectors():
    encoder = LangChainEncoder(Words())
    for vectors in (encoder.encode_documents(["a b", "c"]), encoder.encode_queries(["a b", "c"])):
        assert vectors.shape == (2, 64)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert encoder.encode_documents([]).shape == (0, 64)
    assert encoder.encode_queries([]).shape == (0, 64)


def test_documents_and_queries_are_embedded_as_such():
    words = Words()
    encoder = LangChainEncoder(words, document_prompt="passage: ")
    encoder.encode_documents(["a", "b"])
    encoder.encode_queries(["c", "d"])
    assert words.documents[-1] == ["passage: a", "passage: b"]
    assert words.queries == ["c", "d"]


def test_queries_at_the_same_time_keep_their_order():
    words = Words()
    texts = [f"word{n}" for n in range(20)]
    at_once = LangChainEncoder(words, concurrency=4).encode_queries(texts)
    assert threading.get_ident() not in words.threads
    assert np.array_equal(at_once, LangChainEncoder(Words()).encode_queries(texts))


def test_fingerprint_changes_with_what_changes_vectors():
    class Others(Words):
        pass

    makers = [
        lambda: LangChainEncoder(Words()),
        lambda: LangChainEncoder(Words(model="words-2")),
        lambda: LangChainEncoder(Words(dimension=32)),
        lambda: LangChainEncoder(Others()),
        lambda: LangChainEncoder(Words(), document_prompt="passage: "),
        lambda: LangChainEncoder(Words(), fingerprint="mine"),
    ]
    prints = [make().fingerprint for make in makers]
    assert prints == [make().fingerprint for make in makers]
    assert len(set(prints)) == len(prints)
    assert prints[-1] == "mine"


def test_fingerprint_needs_no_secret():
    first, second = Words(), Words()
    second.api_key = "another"
    assert LangChainEncoder(first).fingerprint == LangChainEncoder(second).fingerprint


def test_errors_are_chained():
    encoder = LangChainEncoder(Broken(), fingerprint="x")
    for call in (lambda: encoder.dimension, lambda: encoder.encode_documents(["a"])):
        with pytest.raises(EncoderError, match=r"words-1.*ConnectionError: no route") as caught:
            call()
        assert isinstance(caught.value.__cause__, ConnectionError)


def test_vectors_that_cannot_be_used():
    words = Words()
    encoder = LangChainEncoder(words)
    assert encoder.dimension == 64
    for bad in ([[1.0, 2.0]], [[0.0] * 64], [[float("nan")] * 64], [[1.0] * 64] * 2, None, [["a"] * 64]):
        words.embed_documents = lambda texts, bad=bad: bad
        with pytest.raises(EncoderError, match="words-1"):
            encoder.encode_documents(["a"])


def test_arguments():
    with pytest.raises(ParameterError, match="WordEncoder"):
        LangChainEncoder(WordEncoder())
    for concurrency in (0, True, 1.5):
        with pytest.raises(ParameterError, match="concurrency"):
            LangChainEncoder(Words(), concurrency=concurrency)


def test_an_index_by_it(catalog, tmp_path):
    words = Words()
    encoder = LangChainEncoder(words, instructions=InstructionSet.default())
    with MultiRetriever(Index.from_catalog(catalog, tmp_path, encoder=encoder), mode="dense") as retriever:
        assert StepRetriever(retriever=retriever).invoke("posts a text to slack, send message")[0].id == "slack.send_message"
    instruction = "Represent this requirement for searching relevant steps:"
    assert words.queries == [f"{instruction}\nrequirement: posts a text to slack, send message"]
    with pytest.raises(EncoderMismatchError, match="words-2"):
        Index.open(tmp_path, encoder=LangChainEncoder(Words(model="words-2")))
