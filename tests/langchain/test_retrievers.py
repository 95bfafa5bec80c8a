import asyncio
import time
import warnings

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, RunnablePassthrough

from indexes import store_of
from multiretriever.core import EncoderError, IndexNotFoundError, ParameterError, QueryContext
from multiretriever.core.errors import ElementTypeError, FilterError, QueryError
from multiretriever.core.index import Index
from multiretriever.langchain import (
    CatalogItemRetriever,
    ElementRetriever,
    FieldRetriever,
    StepRetriever,
    TableRetriever,
    WorkflowRetriever,
)


def ids(documents):
    return [document.id for document in documents]


@pytest.mark.parametrize(
    ("kind", "query", "best"),
    [
        (StepRetriever, "send a message", "slack.send_message"),
        (TableRetriever, "laptop", "core.laptop"),
        (FieldRetriever, "email of the user", "core.user.email"),
        (CatalogItemRetriever, "order a desk", "order_desk"),
        (WorkflowRetriever, "leaver", "leaver_flow"),
    ],
)
def test_finds_elements_of_its_type(core, kind, query, best):
    documents = kind(retriever=core).invoke(query)
    assert documents[0].id == best
    assert {d.metadata["element_type"] for d in documents} == {kind.model_fields["element_type"].default}
    assert [d.metadata["rank"] for d in documents] == list(range(1, len(documents) + 1))


async def test_sync_async_and_core_agree(core):
    retriever = StepRetriever(retriever=core, k=3)
    expected = [(hit.id, hit.score) for hit in core.retrieve("find records", "step", k=3)]
    for documents in (retriever.invoke("find records"), await retriever.ainvoke("find records")):
        assert [(d.id, d.metadata["score"]) for d in documents] == expected


def test_default_k_is_that_of_the_type(core):
    assert len(FieldRetriever(retriever=core).invoke("email")) == 5
    assert len(TableRetriever(retriever=core, k=2).invoke("task")) == 2


async def test_arguments_of_a_call_take_the_place_of_own_ones(core):
    retriever = StepRetriever(retriever=core, k=1, where={"scope": "core"}, mode="dense")
    assert [d.metadata["scope"] for d in retriever.invoke("channel")] == ["core"]
    asked = {"k": 2, "where": {"scope": "slack"}, "mode": "lexical"}
    for documents in (retriever.invoke("channel", **asked), await retriever.ainvoke("channel", **asked)):
        assert len(documents) == 2
        assert {(d.metadata["scope"], d.metadata["mode"]) for d in documents} == {("slack", "lexical")}
    assert len(retriever.invoke("channel")) == 1


def test_verbose_is_langchains_own_argument(core):
    retriever = StepRetriever(retriever=core, k=1)
    assert retriever.invoke("channel", verbose=True) == retriever.batch(["channel"], verbose=True)[0]


def test_mode_of_core_holds_where_none_is_given(core):
    assert TableRetriever(retriever=core).invoke("user")[0].metadata["mode"] == "dense"
    assert TableRetriever(retriever=core, mode="lexical").invoke("user")[0].metadata["mode"] == "lexical"


def test_context_reaches_the_encoder(instructed):
    encoder = instructed.index.encoder
    retriever = StepRetriever(retriever=instructed, context={"scope": "slack"})
    retriever.invoke("tell the channel")
    retriever.invoke("tell the channel", context=QueryContext(scope="core"))
    first, second = (batch[0] for batch in encoder.query_batches)
    assert first.startswith("Represent this requirement and scope")
    assert "scope: slack" in first
    assert "scope: core" in second


def test_table_goes_into_context_and_filter(instructed):
    encoder = instructed.index.encoder
    for retriever, arguments in (
        (FieldRetriever(retriever=instructed, table="incident"), {}),
        (FieldRetriever(retriever=instructed), {"table": "incident"}),
        (FieldRetriever(retriever=instructed, table="user"), {"table": "incident"}),
    ):
        encoder.query_batches.clear()
        documents = retriever.invoke("email", k=8, **arguments)
        assert {d.metadata["table"] for d in documents} == {"incident"}
        assert len(documents) == 4
        assert "table: incident" in encoder.query_batches[0][0]


async def test_table_beside_other_options(instructed):
    retriever = FieldRetriever(retriever=instructed, table="user", where={"scope": "core"}, context={"purpose": "mail all"})
    documents = await retriever.ainvoke("email")
    assert ids(documents)[0] == "core.user.email"
    text = instructed.index.encoder.query_batches[-1][0]
    assert "table: user" in text
    assert "mail all" in text
    batches = retriever.batch(["email", "phone"], context=[{"purpose": "one"}, {"purpose": "two"}])
    assert [ids(found)[0] for found in batches] == ["core.user.email", "core.user.phone"]
    assert [t in b for t, b in zip(("one", "two"), instructed.index.encoder.query_batches[-1], strict=True)] == [True, True]
    assert ids(retriever.batch(["email"], table="incident")[0])[0] == "core.incident.email"


def test_two_tables_are_refused(core):
    with pytest.raises(ParameterError, match=r"'user'.*'incident'"):
        FieldRetriever(retriever=core, table="user").invoke("email", where={"table": "incident"})
    with pytest.raises(ParameterError, match="table is the name"):
        FieldRetriever(retriever=core).invoke("email", table="  ")
    with pytest.raises(ParameterError, match="table is the name"):
        FieldRetriever(retriever=core, table=5)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"k": 0}, ParameterError),
        ({"k": -1}, ParameterError),
        ({"k": True}, ParameterError),
        ({"k": "3"}, ParameterError),
        ({"k": 1.5}, ParameterError),
        ({"mode": "magic"}, ParameterError),
        ({"context": "core"}, ParameterError),
        ({"context": {"table": ["a"]}}, ParameterError),
        ({"where": "core"}, FilterError),
        ({"where": {"scope": {"$ne": "x"}}}, FilterError),
        ({"top_k": 3}, ParameterError),
        ({"element_type": "table"}, ParameterError),
        ({"retriever": "folder"}, ParameterError),
    ],
)
def test_bad_fields_are_core_errors_at_construction(core, fields, error):
    with pytest.raises(error) as caught:
        StepRetriever(**{"retriever": core, **fields})
    assert type(caught.value) is error
    assert next(iter(fields)).split("_")[-1] in str(caught.value) or "filter" in str(caught.value)


def test_unknown_element_type(core):
    with pytest.raises(ElementTypeError, match="known are step"):
        ElementRetriever(retriever=core, element_type="spaceship")
    assert ElementRetriever(retriever=core, element_type="catalog_items").element_type == "catalog_item"


async def test_unknown_arguments_of_a_call_name_the_known_ones(core):
    retriever, fields = StepRetriever(retriever=core), FieldRetriever(retriever=core)
    with pytest.raises(ParameterError, match=r"'top_k'; it takes k, context, where, mode$"):
        retriever.invoke("x", top_k=3)
    with pytest.raises(ParameterError, match="'table'"):
        await retriever.ainvoke("x", table="incident")
    with pytest.raises(ParameterError, match=r"mode, table$"):
        fields.batch(["x"], top_k=3)


async def test_bad_arguments_of_a_call(core):
    retriever = StepRetriever(retriever=core)
    for arguments, error in (
        ({"k": 0}, ParameterError),
        ({"mode": "m"}, ParameterError),
        ({"where": {"colour": 1}}, FilterError),
    ):
        with pytest.raises(error):
            retriever.invoke("x", **arguments)
        with pytest.raises(error):
            await retriever.ainvoke("x", **arguments)
        with pytest.raises(error):
            retriever.batch(["x", "y"], **arguments)
    with pytest.raises(QueryError):
        retriever.invoke("  ")


def test_errors_reach_callbacks(core, recorder):
    with pytest.raises(QueryError):
        StepRetriever(retriever=core).invoke("", config={"callbacks": [recorder]})
    assert [type(item["error"]) for item in recorder.errors] == [QueryError]


def test_callbacks_tags_and_tracing_parameters(core, recorder):
    retriever = TableRetriever(retriever=core, tags=["own"], metadata={"team": "a"})
    config = {"callbacks": [recorder], "tags": ["call"], "metadata": {"turn": 1}, "run_name": "lookup"}
    documents = retriever.invoke("user", config=config)
    (start,) = recorder.starts
    assert start["query"] == "user"
    assert start["name"] == "lookup"
    assert set(start["tags"]) == {"own", "call"}
    expected = {
        "team": "a",
        "turn": 1,
        "ls_retriever_name": "table",
        "ls_vector_store_provider": "Chroma",
        "ls_embedding_provider": "multiretriever",
        "ls_embedding_model": "words",
    }
    assert expected.items() <= start["metadata"].items()
    assert recorder.ends[0] == {"ids": ids(documents), "run_id": start["run_id"]}


@pytest.mark.parametrize("field", ["k", "mode"])
def test_configurable_fields(core, field):
    retriever = StepRetriever(retriever=core, k=2).configurable_fields(**{field: ConfigurableField(id=field)})
    assert len(retriever.invoke("channel")) == 2
    value = {"k": 1, "mode": "lexical"}[field]
    documents = retriever.invoke("channel", config={"configurable": {field: value}})
    assert (len(documents) if field == "k" else documents[0].metadata["mode"]) == value
    batches = retriever.with_config(configurable={field: value}).batch(["channel", "records"])
    assert [len(b) if field == "k" else b[0].metadata["mode"] for b in batches] == [value, value]
    with pytest.raises(ParameterError):
        retriever.invoke("channel", config={"configurable": {field: "x"}})


def test_bound_arguments(core):
    assert len(StepRetriever(retriever=core).bind(k=1).invoke("channel")) == 1


def show(documents):
    return " | ".join(ids(documents))


async def test_lcel_chain_with_a_chat_model(core, encoder):
    prompt = ChatPromptTemplate.from_template("Use one of: {steps}\nfor: {requirement}")
    model = FakeListChatModel(responses=["done"])
    chain = {"steps": StepRetriever(retriever=core, k=1) | show, "requirement": RunnablePassthrough()} | prompt
    text = chain.invoke("send a message").to_string()
    assert "Use one of: slack.send_message\nfor: send a message" in text
    whole = chain | model | StrOutputParser()
    assert await whole.ainvoke("send a message") == "done"
    assert "".join(whole.stream("send a message")) == "done"
    encoder.query_batches.clear()
    # A mapping of runnables calls its parts one by one (LangChain's RunnableParallel has no batch); a sequence does not.
    sequence = StepRetriever(retriever=core, k=1) | show | model
    assert [m.content for m in sequence.batch(["send a message", "create a channel", "find records"])] == ["done"] * 3
    assert [len(batch) for batch in encoder.query_batches] == [3]
    assert [part async for part in (StepRetriever(retriever=core, k=1) | show).astream("send a message")] == [
        "slack.send_message"
    ]


async def test_event_loop_goes_on(slow_core):
    retriever = StepRetriever(retriever=slow_core)
    for call in (lambda: retriever.ainvoke("a message"), lambda: retriever.abatch(["a message", "a channel"])):
        ticks = 0
        work = asyncio.create_task(call())
        while not work.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert await work
        assert ticks > 10


async def test_calls_at_once_overlap(slow_core):
    retriever = StepRetriever(retriever=slow_core)
    started = time.perf_counter()
    await asyncio.gather(*(retriever.ainvoke("a message") for _ in range(4)))
    assert time.perf_counter() - started < 4 * slow_core.index.encoder.seconds


def test_from_path_and_from_catalog(catalog, encoder, tmp_path):
    made = StepRetriever.from_catalog(catalog, tmp_path / "index", encoder=encoder, k=1)
    opened = TableRetriever.from_path(tmp_path / "index", encoder=encoder, mode="lexical", where={"scope": "core"})
    assert ids(made.invoke("send message")) == ["slack.send_message"]
    assert opened.invoke("laptop")[0].id == "core.laptop"
    made.close()
    opened.close()
    (tmp_path / "steps.yaml").write_text("steps:\n- {scope: mail, name: send_mail, description: Sends a mail}\n")
    read = ElementRetriever.from_catalog(tmp_path / "steps.yaml", encoder=encoder, element_type="step")
    assert ids(read.invoke("mail")) == ["mail.send_mail"]


def test_a_bad_option_gives_the_folder_back(catalog, encoder, tmp_path):
    StepRetriever.from_catalog(catalog, tmp_path / "index", encoder=encoder).close()
    with pytest.raises(ParameterError, match="k is the number"):
        StepRetriever.from_path(tmp_path / "index", encoder=encoder, k=0)
    with Index.open(tmp_path / "index", encoder=encoder) as index:
        assert store_of(index)._users == 1


def test_opening_nothing(tmp_path, encoder):
    with pytest.raises(IndexNotFoundError):
        StepRetriever.from_path(tmp_path / "nowhere", encoder=encoder)


def test_a_failing_encoder_is_named(core, encoder, monkeypatch):
    def fail(texts):
        raise EncoderError("the model fell over")

    monkeypatch.setattr(encoder, "encode_queries", fail)
    with pytest.raises(EncoderError, match="fell over"):
        StepRetriever(retriever=core).invoke("x")
    answers = StepRetriever(retriever=core).batch(["x", "y"], return_exceptions=True)
    assert [type(answer) for answer in answers] == [EncoderError, EncoderError]


def test_schemas_and_no_warnings(core):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        retriever = FieldRetriever(retriever=core, table="user")
        assert retriever.get_input_jsonschema()["type"] == "string"
        assert "FieldRetriever" in repr(retriever)
