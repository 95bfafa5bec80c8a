import asyncio

import pytest
from langchain_core.runnables import ConfigurableField, RunnableLambda

from multiretriever.core import ParameterError
from multiretriever.core.errors import ElementTypeError, FilterError, QueryError
from multiretriever.langchain import GroundingRunnable

K = {"step": 2, "table": 1}


def shape(found):
    return {name: [d.id for d in documents] for name, documents in found.items()}


async def test_types_at_once_in_one_pass(core, encoder):
    grounding = GroundingRunnable(retriever=core, k=K)
    found = grounding.invoke("send a message to the user")
    assert {name: len(documents) for name, documents in found.items()} == K
    assert found["step"][0].id == "slack.send_message"
    assert found["table"][0].id == "core.user"
    assert len(encoder.query_batches) == 1
    assert await grounding.ainvoke("send a message to the user") == found


def test_all_types_with_their_defaults(core):
    found = GroundingRunnable(retriever=core).invoke("order a laptop")
    assert list(found) == list(core.index.manifest.types)
    assert len(found["field"]) == 5
    assert GroundingRunnable(retriever=core, k=["steps", "table"]).k == {"step": 15, "table": 5}
    assert GroundingRunnable(retriever=core, k="table").k == {"table": 5}


async def test_mapping_as_input(instructed):
    grounding = GroundingRunnable(retriever=instructed, k=K)
    value = {"query": "tell them", "context": {"scope": "slack"}, "where": {"scope": "core"}, "k": {"table": 2}}
    found = grounding.invoke(value)
    assert {name: len(documents) for name, documents in found.items()} == {"table": 2}
    assert "scope: slack" in instructed.index.encoder.query_batches[-1][0]
    assert {d.metadata["scope"] for d in found["table"]} == {"core"}
    assert await grounding.ainvoke(value) == found
    assert value == {"query": "tell them", "context": {"scope": "slack"}, "where": {"scope": "core"}, "k": {"table": 2}}


def test_own_options_call_and_input(core):
    grounding = GroundingRunnable(retriever=core, k={"step": 4}, where={"scope": "core"}, mode="lexical")
    assert {d.metadata["scope"] for d in grounding.invoke("channel records")["step"]} == {"core"}
    assert {d.metadata["scope"] for d in grounding.invoke("channel", where={"scope": "slack"})["step"]} == {"slack"}
    assert {d.metadata["scope"] for d in grounding.invoke({"query": "channel"}, where={"scope": "slack"})["step"]} == {"slack"}
    asked = {"query": "channel", "where": {"scope": "core"}, "mode": "dense"}
    documents = grounding.invoke(asked, where={"scope": "slack"})["step"]
    assert {(d.metadata["scope"], d.metadata["mode"]) for d in documents} == {("core", "dense")}


async def test_batch(core):
    grounding = GroundingRunnable(retriever=core, k=K)
    queries = ["send a message", {"query": "look up records"}]
    expected = [grounding.invoke(query) for query in queries]
    assert grounding.batch(queries) == expected
    assert await grounding.abatch(queries) == expected
    answers = grounding.batch(["send a message", ""], return_exceptions=True)
    assert shape(answers[0]) == shape(expected[0])
    assert isinstance(answers[1], QueryError)


def test_composition_and_configurable_k(core):
    grounding = GroundingRunnable(retriever=core, k=K).configurable_fields(k=ConfigurableField(id="k"))
    chain = RunnableLambda(lambda text: {"query": text}) | grounding | shape
    found = chain.invoke("send a message to the user")
    assert (found["step"][0], found["table"]) == ("slack.send_message", ["core.user"])
    assert list(chain.invoke("a user", config={"configurable": {"k": {"field": 3}}})) == ["field"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"k": {"step": 0}}, ParameterError),
        ({"k": 5}, ParameterError),
        ({"k": {"spaceship": 1}}, ElementTypeError),
        ({"where": {"scope": ["a"]}}, FilterError),
        ({"mode": "x"}, ParameterError),
        ({"context": "x"}, ParameterError),
        ({"element_type": "step"}, ParameterError),
    ],
)
def test_bad_fields(core, fields, error):
    with pytest.raises(error) as caught:
        GroundingRunnable(retriever=core, **fields)
    assert type(caught.value) is error


async def test_bad_inputs(core):
    grounding = GroundingRunnable(retriever=core, k=K)
    for value, message in (("", "empty"), (5, "query is text"), ({"query": " "}, "empty"), ({"question": "x"}, "question"),
                           ({"query": "x", "top_k": 1}, "top_k")):  # fmt: skip
        with pytest.raises(ParameterError, match=message):
            grounding.invoke(value)
        with pytest.raises(ParameterError, match=message):
            await grounding.ainvoke(value)
    with pytest.raises(ParameterError, match="takes k, context, where, mode"):
        grounding.invoke("x", top_k=3)


async def test_event_loop_goes_on(slow_core):
    ticks = 0
    work = asyncio.create_task(GroundingRunnable(retriever=slow_core, k=K).ainvoke("a message"))
    while not work.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 10


def test_schema(core):
    schema = GroundingRunnable(retriever=core).get_input_jsonschema()
    assert {part["type"] for part in schema["anyOf"]} == {"string", "object"}
