import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from encoders import WordEncoder
from multiretriever.core import EncoderError, Grounding, Index, InstructionSet, MultiRetriever, ParameterError, QueryContext
from multiretriever.core.elements import StepInput
from multiretriever.core.errors import FilterError


@pytest.fixture
def instructed(catalog):
    """A retriever whose encoder was trained with the default instructions."""
    with Index.from_catalog(catalog, encoder=WordEncoder(instructions=InstructionSet.default())) as index:
        yield MultiRetriever(index)


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
@pytest.mark.parametrize(
    ("query", "element_type", "expected"),
    [
        ("send a message to a channel", "step", "slack.post_message"),
        ("an interruption of a service", "table", "core.incident"),
        ("address for mail", "field", "core.sys_user.email"),
        ("laptop for work", "catalog_item", "it.new_laptop"),
        ("greet a new colleague", "workflow", "hr.greet"),
    ],
)
def test_each_type_is_found_with_all_its_values(retriever, catalog, mode, query, element_type, expected):
    hit = retriever.retrieve(query, element_type, mode=mode)[0]
    assert hit.id == expected
    assert hit.element == catalog.get(element_type, expected)
    assert (hit.rank, hit.mode) == (1, mode)


def test_the_default_k_is_that_of_the_type(retriever):
    assert len(retriever.retrieve("record", "step")) == 5
    assert len(retriever.retrieve("user", "table", k=2)) == 2
    assert len(retriever.retrieve("user", "table", k=50)) == 3


def test_hits_become_plain_values(retriever):
    hit = retriever.retrieve("message", "step", k=1)[0]
    values = hit.to_dict()
    assert values["rank"] == 1
    assert values["element_type"] == "step"
    assert values["metadata"] == {"version": 2, "beta": False, "tags": ["chat", "send"]}
    assert values["inputs"][0] == {"name": "channel", "required": True}
    assert hit.element.inputs[1] == StepInput(name="text")


def test_a_batch_is_one_pass_and_the_same_as_single_calls(retriever):
    queries = ["send a message", "create a record", "send a message", "repeat"]
    batch = retriever.retrieve_batch(queries, "step", k=3)
    assert retriever.index.encoder.query_batches == [["send a message", "create a record", "repeat"]]
    assert batch == [retriever.retrieve(query, "step", k=3) for query in queries]


def test_an_empty_batch(retriever):
    assert retriever.retrieve_batch([], "step") == []
    assert retriever.index.encoder.query_batches == []


def test_a_batch_takes_one_context_or_one_for_each(instructed):
    contexts = [{"scope": "core"}, None, QueryContext(text="annotation")]
    instructed.retrieve_batch(["a", "b", "c"], "step", context=contexts)
    instructed.retrieve_batch(["a", "b"], "step", context={"scope": "core"})
    first, second = instructed.index.encoder.query_batches
    assert [text.splitlines()[1:] for text in first] == [["scope: core", "requirement: a"], ["requirement: b"], ["annotation: c"]]
    assert [text.splitlines()[1:] for text in second] == [["scope: core", "requirement: a"], ["scope: core", "requirement: b"]]


@pytest.mark.parametrize("context", [[None], [None, None, None], "core", 5])
def test_as_many_contexts_as_queries(retriever, context):
    with pytest.raises(ParameterError, match="2 queries"):
        retriever.retrieve_batch(["a", "b"], "step", context=context)


def test_lexical_asks_no_encoder(retriever):
    assert retriever.retrieve("message", "step", mode="lexical")[0].id == "slack.post_message"
    assert retriever.ground("message", ["step", "table"], mode="lexical")["step"][0].id == "slack.post_message"
    assert retriever.index.encoder.query_batches == []


def test_vectors_that_are_known_are_used(retriever):
    encoder = retriever.index.encoder
    vectors = encoder.encode_queries(["send a message to a channel"]) * 7
    encoder.query_batches.clear()
    found = retriever.retrieve_batch(["something else"], "step", mode="dense", vectors=vectors)
    assert encoder.query_batches == []
    assert found[0][0].id == "slack.post_message"
    assert found[0][0].score <= 1.0001


@pytest.mark.parametrize(
    "vectors", [np.ones((2, 64)), np.ones((1, 63)), np.ones(64), np.zeros((1, 64)), np.full((1, 64), np.nan), "x"]
)
def test_vectors_of_another_shape(retriever, vectors):
    with pytest.raises(EncoderError, match="given vectors"):
        retriever.retrieve_batch(["a"], "step", vectors=vectors)


def test_ground_is_one_pass_with_the_instruction_of_each_type(instructed):
    grounding = instructed.ground("send a message", {"step": 2, "table": 1, "field": 3})
    assert isinstance(grounding, Grounding)
    assert {name: len(hits) for name, hits in grounding.items()} == {"step": 2, "table": 1, "field": 3}
    (batch,) = instructed.index.encoder.query_batches
    assert [text.splitlines()[0] for text in batch] == [
        "Represent this requirement for searching relevant steps:",
        "Represent this requirement for searching relevant tables:",
        "Represent this requirement for searching relevant fields:",
    ]
    assert grounding["step"] == instructed.retrieve("send a message", "step", k=2)
    assert grounding.to_dict()["hits"]["table"][0]["rank"] == 1


def test_ground_encodes_equal_prompts_once(retriever):
    retriever.ground("send a message")
    assert retriever.index.encoder.query_batches == [["send a message"]]


def test_ground_takes_all_types_by_default(retriever, catalog):
    assert set(retriever.ground("record")) == set(catalog.types)
    assert set(retriever.ground("record", ["steps", "table"])) == {"step", "table"}
    assert set(retriever.ground("record", "table")) == {"table"}


@pytest.mark.parametrize("k", [{}, [], 5, {"step": 0}, {"step": "3"}, {"steppe": 1}, [5]])
def test_what_ground_cannot_take(retriever, k):
    with pytest.raises(ParameterError):
        retriever.ground("record", k)


def test_ground_splits_a_filter_across_types(retriever):
    grounding = retriever.ground(
        "record", ["step", "table", "field"], where={"scope": "core", "table": "incident", "kind": "logic"}
    )
    assert [hit.id for hit in grounding["step"]] == ["core.for_each"]
    assert len(grounding["table"]) == 3
    assert {hit.element.table for hit in grounding["field"]} == {"incident"}
    with pytest.raises(FilterError, match=r"step or table.*'colour'"):
        retriever.ground("record", ["step", "table"], where={"colour": "red"})


def test_a_context_does_not_limit_the_hits(retriever):
    assert {hit.element.table for hit in retriever.retrieve("priority", "field", context={"table": "sys_user"})} == {
        "incident",
        "sys_user",
    }


@pytest.mark.parametrize(
    "options", [{"mode": "bm25"}, {"dense_weight": 1.5}, {"dense_weight": -0.1}, {"dense_weight": True}, {"dense_weight": "1"}]
)
def test_invalid_settings(memory_index, options):
    with pytest.raises(ParameterError):
        MultiRetriever(memory_index, **options)


def test_an_invalid_mode_leaves_no_folder_locked(tmp_path, catalog, encoder):
    Index.from_catalog(catalog, tmp_path / "index", encoder=encoder).close()
    with pytest.raises(ParameterError):
        MultiRetriever.open(tmp_path / "index", encoder=encoder, mode="bm25")
    (tmp_path / "index").rename(tmp_path / "moved")
    with MultiRetriever.open(tmp_path / "moved", encoder=encoder, mode="dense") as retriever:
        assert retriever.retrieve("message", "step")[0].mode == "dense"


class BrokenEncoder(WordEncoder):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def encode_queries(self, texts):
        return self.answer


@pytest.mark.parametrize("answer", [np.full((1, 64), np.nan), np.zeros((1, 64)), np.ones((2, 64)), np.ones((1, 3)), None, "x"])
def test_what_a_broken_encoder_gives_is_refused(catalog, answer):
    with Index.from_catalog(catalog, encoder=BrokenEncoder(answer)) as index, pytest.raises(EncoderError, match="'words'"):
        MultiRetriever(index).retrieve("message", "step")


def test_vectors_of_an_encoder_are_scaled(catalog):
    class Long(WordEncoder):
        def _encode(self, texts):
            return super()._encode(texts) * 40

    with Index.from_catalog(catalog, encoder=Long()) as index:
        hits = MultiRetriever(index, dense_weight=1).retrieve("Post message\nslack\nSends a message to a channel.", "step")
    assert hits[0].score == pytest.approx(1, abs=1e-5)


class WaitingEncoder(WordEncoder):
    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def encode_queries(self, texts):
        assert self.go.wait(60)
        return super().encode_queries(texts)


async def test_async_calls_leave_the_loop_free(catalog):
    encoder = WaitingEncoder()
    with Index.from_catalog(catalog, encoder=encoder) as index:
        retriever = MultiRetriever(index)
        tasks = [
            asyncio.create_task(retriever.aretrieve("message", "step", k=1)),
            asyncio.create_task(retriever.aretrieve_batch(["message", "record"], "step", k=1)),
            asyncio.create_task(retriever.aground("message", {"step": 1})),
        ]
        await asyncio.sleep(0.05)
        # The loop runs although all three wait; only now are they let go.
        assert not any(task.done() for task in tasks)
        encoder.go.set()
        one, batch, grounding = await asyncio.gather(*tasks)
    assert one[0].id == batch[0][0].id == grounding["step"][0].id == "slack.post_message"


def test_threads_share_a_retriever(retriever):
    queries = ["send a message", "create a record", "repeat for each item", "find records"] * 10
    expected = [retriever.retrieve(query, "step", k=2) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda query: retriever.retrieve(query, "step", k=2), queries)) == expected
        grounded = list(pool.map(retriever.ground, queries))
    assert [item["step"][0] for item in grounded] == [
        hits[0] for hits in (retriever.retrieve(query, "step") for query in queries)
    ]


@pytest.mark.parametrize("options", [5, {"k": 3}])
def test_a_search_takes_options_and_nothing_else(retriever, options):
    with pytest.raises(ParameterError, match=r"expected SearchOptions, got (int|dict)"):
        retriever.search(["message"], "step", options)
