import inspect

import numpy as np
import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.retrieval import RetrievalEndEvent, RetrievalStartEvent
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import QueryBundle

from multiretriever.core import EncoderError, Index, IndexNotFoundError, ParameterError, QueryContext
from multiretriever.core.errors import ElementTypeError, FilterError, QueryError
from multiretriever.core.prompts import fit_prompt
from multiretriever.llama_index import (
    CatalogItemRetriever,
    ElementRetriever,
    FieldRetriever,
    StepRetriever,
    TableRetriever,
    WorkflowRetriever,
)

CLASSES = {
    "step": StepRetriever,
    "table": TableRetriever,
    "field": FieldRetriever,
    "catalog_item": CatalogItemRetriever,
    "workflow": WorkflowRetriever,
}
QUERY = "post a message to the channel"


@pytest.mark.parametrize("cls", [ElementRetriever, *CLASSES.values()])
def test_class_is_a_retriever_that_is_asynchronous_too(cls):
    assert BaseRetriever in inspect.getmro(cls)
    assert cls._aretrieve is not BaseRetriever._aretrieve


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
async def test_each_class_gives_the_hits_of_core_in_their_order(multi, ids, name, mode):
    hits = multi.retrieve("incident laptop message priority", name, mode=mode)
    found = CLASSES[name](multi, mode=mode).retrieve("incident laptop message priority")
    assert ids(found) == [hit.id for hit in hits] != []
    assert [node.score for node in found] == pytest.approx([hit.score for hit in hits])
    assert ids(await CLASSES[name](multi, mode=mode).aretrieve("incident laptop message priority")) == ids(found)
    assert ids(ElementRetriever(multi, name, mode=mode).retrieve("incident laptop message priority")) == ids(found)


@pytest.mark.parametrize("option", ["k", "similarity_top_k"])
def test_k_goes_by_both_names(multi, option):
    retriever = StepRetriever(multi, **{option: 2})
    assert len(retriever.retrieve(QUERY)) == 2
    assert retriever.similarity_top_k == 2
    retriever.similarity_top_k = 3
    assert len(retriever.retrieve(QUERY)) == 3


def test_k_defaults_to_that_of_the_type(multi):
    assert StepRetriever(multi).similarity_top_k == 15
    assert TableRetriever(multi).similarity_top_k == 5


def test_where_limits_the_hits(multi, ids):
    assert set(ids(StepRetriever(multi, where={"scope": "slack"}).retrieve(QUERY))) == {
        "slack.post_message",
        "slack.create_channel",
    }


def test_context_goes_into_the_query(multi, encoder):
    StepRetriever(multi, context={"scope": "slack"}, mode="dense").retrieve(QUERY)
    ((text,),) = encoder.query_batches
    assert text.startswith("Represent this requirement and scope for searching relevant steps of that scope:")
    assert "scope: slack" in text
    assert QUERY in text


@pytest.mark.parametrize("context", [None, {"type": "r"}, QueryContext(type="r")])
def test_a_fields_table_is_told_to_the_encoder_and_filtered_on(multi, encoder, ids, context):
    found = FieldRetriever(multi, table="task", context=context, where={"scope": "core"}).retrieve("how urgent, priority")
    assert set(ids(found)) == {"core.task.priority", "core.task.state"}
    assert "table: task" in encoder.query_batches[0][0]
    assert ("type: r" in encoder.query_batches[0][0]) == (context is not None)


def test_fields_of_all_tables_where_none_is_told(multi, ids):
    assert len(FieldRetriever(multi).retrieve("priority")) == 4


class TestGivenVectors:
    @pytest.mark.parametrize("mode", ["dense", "hybrid"])
    async def test_a_given_embedding_is_searched_with(self, multi, encoder, ids, mode):
        vector = encoder.encode_documents(["Create channel\nslack\nOpens a new channel"])[0].tolist()
        retriever = StepRetriever(multi, mode=mode, k=1)
        query = "look up records, find records of a table"
        bundle = QueryBundle(query, embedding=vector)
        assert ids(retriever.retrieve(bundle)) == ["slack.create_channel"]
        assert ids(await retriever.aretrieve(bundle)) == ["slack.create_channel"]
        assert ids(retriever.retrieve(query)) == ["core.look_up_records"]
        assert len(encoder.query_batches) == 1

    def test_a_given_embedding_need_not_be_of_unit_length(self, multi, encoder):
        vector = encoder.encode_documents(["channel"])[0]
        retriever = StepRetriever(multi, mode="dense")
        scores = [node.score for node in retriever.retrieve(QueryBundle("x", embedding=vector.tolist()))]
        scaled = [node.score for node in retriever.retrieve(QueryBundle("x", embedding=(vector * 7).tolist()))]
        assert scaled == pytest.approx(scores, abs=1e-5)

    def test_bm25_still_reads_the_text(self, multi, encoder, ids):
        vector = encoder.encode_documents(["channel"])[0].tolist()
        bundle = QueryBundle("look up records", embedding=vector)
        assert ids(StepRetriever(multi, mode="lexical", k=1).retrieve(bundle)) == ["core.look_up_records"]

    @pytest.mark.parametrize("vector", [[0.5, 0.5], [0.0] * 64, [float("nan")] * 64, []])
    def test_an_embedding_that_cannot_be_used_is_a_typed_error(self, multi, vector):
        with pytest.raises(EncoderError, match="embedding"):
            StepRetriever(multi).retrieve(QueryBundle("x", embedding=vector))

    def test_of_several_texts_the_mean_is_searched_with(self, multi, encoder, ids):
        texts = ["open a new channel", "find records of a table"]
        retriever = StepRetriever(multi, mode="dense", context={"scope": "slack"})
        found = retriever.retrieve(QueryBundle("not this", custom_embedding_strs=texts))
        (batch,) = encoder.query_batches
        prompts = [multi.prompt(text, "step", context={"scope": "slack"}) for text in texts]
        assert batch == [fit_prompt(encoder, prompt) for prompt in prompts]
        mean = encoder.encode_queries(batch).mean(axis=0, keepdims=True)
        (hits,) = multi.retrieve_batch(["x"], "step", mode="dense", vectors=mean.astype(np.float32))
        assert ids(found) == [hit.id for hit in hits]
        assert [node.score for node in found] == pytest.approx([hit.score for hit in hits])

    def test_no_texts_mean_the_query(self, multi, ids):
        retriever = StepRetriever(multi, mode="dense")
        assert ids(retriever.retrieve(QueryBundle(QUERY, custom_embedding_strs=[]))) == ids(retriever.retrieve(QUERY))

    def test_lexical_encodes_nothing(self, multi, encoder):
        StepRetriever(multi, mode="lexical").retrieve(QueryBundle("channel", custom_embedding_strs=["a", "b"]))
        assert encoder.query_batches == []

    def test_the_bundle_is_left_as_it_was(self, multi):
        bundle = QueryBundle(QUERY, custom_embedding_strs=["a"])
        StepRetriever(multi).retrieve(bundle)
        assert bundle == QueryBundle(QUERY, custom_embedding_strs=["a"])


async def test_the_event_loop_goes_on(multi, encoder, ticks):
    encoder.seconds = 0.3
    found, count = await ticks(StepRetriever(multi).aretrieve(QUERY))
    assert found
    assert count >= 10


class TestOpening:
    def test_from_path_reads_what_from_catalog_wrote(self, tmp_path, catalog, encoder, ids):
        written = StepRetriever.from_catalog(catalog, tmp_path / "index", encoder=encoder, k=3)
        expected = ids(written.retrieve(QUERY))
        written.close()
        read = StepRetriever.from_path(tmp_path / "index", encoder=encoder, k=3)
        assert ids(read.retrieve(QUERY)) == expected
        # Retrievers of one process share a folder.
        tables = ElementRetriever.from_path(tmp_path / "index", element_type="table", encoder=encoder)
        assert tables.retrieve("incident")
        tables.close()
        assert ids(read.retrieve(QUERY)) == expected
        read.close()

    def test_from_catalog_takes_a_path(self, tmp_path, encoder, ids):
        path = tmp_path / "catalog.yaml"
        path.write_text("steps:\n  - {scope: slack, name: post_message}\n")
        retriever = StepRetriever.from_catalog(path, encoder=encoder)
        assert ids(retriever.retrieve("post")) == ["slack.post_message"]

    def test_from_path_of_nothing(self, tmp_path, encoder):
        with pytest.raises(IndexNotFoundError):
            StepRetriever.from_path(tmp_path / "none", encoder=encoder)

    def test_a_wrong_option_leaves_no_index_open(self, tmp_path, catalog, encoder, monkeypatch):
        closed, close = [], Index.close
        monkeypatch.setattr(Index, "close", lambda index: closed.append(index) or close(index))
        with pytest.raises(ParameterError, match="k is"):
            StepRetriever.from_catalog(catalog, encoder=encoder, k=0)
        assert len(closed) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ParameterError, "needs an element type"),
        ({"element_type": "gadget"}, ElementTypeError, "gadget"),
        ({"element_type": "step", "k": 0}, ParameterError, "k is"),
        ({"element_type": "step", "similarity_top_k": 1.5}, ParameterError, "k is"),
        ({"element_type": "step", "k": 2, "similarity_top_k": 3}, ParameterError, "2"),
        ({"element_type": "step", "mode": "best"}, ParameterError, "best"),
        ({"element_type": "step", "context": 3}, ParameterError, "context"),
    ],
)
def test_a_wrong_argument_is_told_at_once(multi, options, error, message):
    with pytest.raises(error, match=message):
        ElementRetriever(multi, **options)


@pytest.mark.parametrize("options", [{"table": " "}, {"table": 3}, {"table": "task", "where": {"table": "incident"}}])
def test_a_wrong_table_is_told_at_once(multi, options):
    with pytest.raises(ParameterError, match="table"):
        FieldRetriever(multi, **options)


def test_a_class_for_one_type_takes_no_other(multi):
    assert StepRetriever(multi, "steps").element_type == "step"
    with pytest.raises(ParameterError, match="'step'"):
        StepRetriever(multi, "table")


async def test_wrong_queries_and_filters_are_typed_errors(multi):
    with pytest.raises(QueryError):
        StepRetriever(multi).retrieve(" ")
    with pytest.raises(QueryError):
        await StepRetriever(multi).aretrieve("")
    with pytest.raises(FilterError, match="scop"):
        StepRetriever(multi, where={"scop": "core"}).retrieve(QUERY)


def test_k_larger_than_the_index(multi):
    assert len(StepRetriever(multi, k=1000).retrieve(QUERY)) == 5


async def test_callbacks_and_events_tell_of_the_retrieval(multi, ids):
    class Recorder(BaseEventHandler):
        seen: list = []

        def handle(self, event, **kwargs):
            self.seen.append(event)

    recorder, debug = Recorder(), LlamaDebugHandler(print_trace_on_end=False)
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(recorder)
    try:
        retriever = StepRetriever(multi, k=2, callback_manager=CallbackManager([debug]))
        nodes = retriever.retrieve(QUERY)
        await retriever.aretrieve(QUERY)
    finally:
        dispatcher.event_handlers.remove(recorder)
    assert [type(event) for event in recorder.seen] == [RetrievalStartEvent, RetrievalEndEvent] * 2
    assert ids(recorder.seen[1].nodes) == ids(nodes)
    assert len(debug.get_event_pairs(CBEventType.RETRIEVE)) == 2
