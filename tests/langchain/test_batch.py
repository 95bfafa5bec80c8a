import uuid

import pytest
from langchain_core.callbacks import AsyncCallbackHandler

from multiretriever.core import ParameterError
from multiretriever.core.errors import QueryError
from multiretriever.langchain import StepRetriever

QUERIES = ["send a message", "create a channel", "look up records"]
BEST = ["slack.send_message", "slack.create_channel", "core.look_up_records"]


@pytest.fixture(params=["batch", "abatch"])
def run_batch(request):
    async def run(retriever, *args, **kwargs):
        found = getattr(retriever, request.param)(*args, **kwargs)
        return found if request.param == "batch" else await found

    # Asynchronous callbacks come in no certain order; those of a plain batch come in the order of the queries.
    run.in_order = request.param == "batch"
    return run


async def test_one_encoder_pass(core, encoder, run_batch):
    found = await run_batch(StepRetriever(retriever=core, k=1), QUERIES)
    assert [[d.id for d in documents] for documents in found] == [[best] for best in BEST]
    assert encoder.query_batches == [QUERIES]


async def test_arguments(core, encoder, run_batch):
    found = await run_batch(StepRetriever(retriever=core), QUERIES, k=2, where={"scope": "core"}, mode="lexical")
    assert {(d.metadata["scope"], d.metadata["mode"]) for documents in found for d in documents} == {("core", "lexical")}
    assert max(len(documents) for documents in found) <= 2
    assert encoder.query_batches == []


async def test_same_as_single_calls(core, run_batch):
    retriever = StepRetriever(retriever=core)
    assert await run_batch(retriever, QUERIES) == [retriever.invoke(query) for query in QUERIES]


async def test_one_run_for_each_query(core, recorder, run_batch):
    retriever = StepRetriever(retriever=core, k=1, tags=["own"])
    configs = [{"callbacks": [recorder], "run_name": f"run {n}", "tags": [str(n)], "metadata": {"n": n}} for n in range(3)]
    await run_batch(retriever, QUERIES, config=configs)
    starts = recorder.starts if run_batch.in_order else sorted(recorder.starts, key=lambda start: start["metadata"]["n"])
    assert [start["query"] for start in starts] == QUERIES
    assert [start["name"] for start in starts] == ["run 0", "run 1", "run 2"]
    assert [set(start["tags"]) for start in starts] == [{"own", "0"}, {"own", "1"}, {"own", "2"}]
    assert [start["metadata"]["n"] for start in starts] == [0, 1, 2]
    assert starts[0]["metadata"]["ls_embedding_model"] == "words"
    places = {start["run_id"]: place for place, start in enumerate(starts)}
    ends = recorder.ends if run_batch.in_order else sorted(recorder.ends, key=lambda end: places[end["run_id"]])
    assert [end["ids"] for end in ends] == [[best] for best in BEST]
    assert [end["run_id"] for end in ends] == [start["run_id"] for start in starts]


async def test_run_id_of_the_config(core, recorder, run_batch):
    wanted = uuid.uuid4()
    await run_batch(StepRetriever(retriever=core), QUERIES[:1], config={"callbacks": [recorder], "run_id": wanted})
    assert recorder.starts[0]["run_id"] == wanted
    assert recorder.starts[0]["name"] == "StepRetriever"


async def test_exceptions_in_their_place(core, encoder, recorder, run_batch):
    queries = [QUERIES[0], " ", QUERIES[2], 5]
    found = await run_batch(StepRetriever(retriever=core, k=1), queries, config={"callbacks": [recorder]}, return_exceptions=True)
    assert found[0][0].id == BEST[0]
    assert isinstance(found[1], QueryError)
    assert found[2][0].id == BEST[2]
    assert isinstance(found[3], QueryError)
    assert len(encoder.query_batches) == 1
    errors = [item["error"] for item in recorder.errors]
    assert (errors if run_batch.in_order else sorted(errors, key=[found[1], found[3]].index)) == [found[1], found[3]]
    assert len(recorder.ends) == 2


async def test_first_exception_is_raised(core, recorder, run_batch):
    with pytest.raises(QueryError, match="empty"):
        await run_batch(StepRetriever(retriever=core), [QUERIES[0], "", 5], config={"callbacks": [recorder]})
    assert len(recorder.errors) == 2
    assert len(recorder.ends) == 1


async def test_all_bad(core, encoder, run_batch):
    found = await run_batch(StepRetriever(retriever=core), ["", " "], return_exceptions=True)
    assert [type(item) for item in found] == [QueryError, QueryError]
    assert encoder.query_batches == []


async def test_no_queries(core, encoder, run_batch):
    assert await run_batch(StepRetriever(retriever=core), []) == []
    assert encoder.query_batches == []


async def test_a_context_for_each(instructed, run_batch):
    contexts = [{"scope": "slack"}, None, {"scope": "core"}]
    await run_batch(StepRetriever(retriever=instructed), QUERIES, context=contexts)
    (texts,) = instructed.index.encoder.query_batches
    assert ["scope: slack" in text for text in texts] == [True, False, False]
    assert ["scope: core" in text for text in texts] == [False, False, True]
    bad = await run_batch(StepRetriever(retriever=instructed), QUERIES, context=[None, "x", None], return_exceptions=True)
    assert [isinstance(item, ParameterError) for item in bad] == [False, True, False]
    with pytest.raises(ParameterError, match="a list of 3"):
        await run_batch(StepRetriever(retriever=instructed), QUERIES, context=[None])


async def test_configs_of_another_number(core, run_batch):
    with pytest.raises(ValueError, match="same length"):
        await run_batch(StepRetriever(retriever=core), QUERIES, config=[{}])


async def test_asynchronous_callbacks(core):
    class Handler(AsyncCallbackHandler):
        seen = []

        async def on_retriever_start(self, serialized, query, **kwargs):
            self.seen.append(query)

        async def on_retriever_end(self, documents, **kwargs):
            self.seen.append(documents[0].id)

    await StepRetriever(retriever=core).abatch(QUERIES, config={"callbacks": [Handler()]})
    assert sorted(Handler.seen) == sorted(QUERIES + BEST)


def test_as_completed(core):
    found = dict(StepRetriever(retriever=core, k=1).batch_as_completed(QUERIES))
    assert [found[n][0].id for n in range(3)] == BEST
