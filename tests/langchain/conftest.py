import time

import pytest
from langchain_core.callbacks import BaseCallbackHandler

from encoders import WordEncoder
from multiretriever.core import Catalog, CatalogItem, Field, Index, InstructionSet, MultiRetriever, Step, Table, Workflow


def make_catalog():
    steps = [
        Step(scope="slack", name="send_message", label="Send message", description="Posts a text to a channel",
             metadata={"owner": "chat team", "score": 99, "tags": ["chat", "text"]}),
        Step(scope="slack", name="create_channel", label="Create channel", description="Makes a new channel"),
        Step(scope="core", name="look_up_records", label="Look up records", description="Finds records of a table"),
        Step(scope="core", name="for_each", description="Repeats steps for every item of a list", kind="logic"),
    ]  # fmt: skip
    tables = [Table(scope="core", name=n, label=n.title()) for n in ("incident", "task", "user", "laptop")]
    fields = [
        Field(scope="core", name=name, table=table, label=name.title(), data_type="string")
        for table in ("incident", "user")
        for name in ("priority", "email", "state", "phone")
    ]
    items = [CatalogItem(name=f"order_{n}", label=f"Order a {n}") for n in ("laptop", "phone", "desk", "chair")]
    flows = [Workflow(name=f"{n}_flow", description=f"Handles {n}") for n in ("onboarding", "leaver", "incident", "patching")]
    return Catalog([*steps, *tables, *fields, *items, *flows])


class SlowEncoder(WordEncoder):
    """Holds its thread, as a model does that computes."""

    seconds = 0.3

    def encode_queries(self, texts):
        time.sleep(self.seconds)
        return super().encode_queries(texts)

    def encode_documents(self, texts):
        time.sleep(self.seconds)
        return super().encode_documents(texts)


class Recorder(BaseCallbackHandler):
    """Keeps what callbacks were told."""

    def __init__(self):
        self.starts = []
        self.ends = []
        self.errors = []

    def on_retriever_start(self, serialized, query, *, run_id, tags=None, metadata=None, name=None, **kwargs):
        self.starts.append({"query": query, "run_id": run_id, "tags": tags, "metadata": metadata, "name": name})

    def on_retriever_end(self, documents, *, run_id, **kwargs):
        self.ends.append({"ids": [document.id for document in documents], "run_id": run_id})

    def on_retriever_error(self, error, *, run_id, **kwargs):
        self.errors.append({"error": error, "run_id": run_id})


@pytest.fixture
def catalog():
    return make_catalog()


@pytest.fixture
def encoder():
    return WordEncoder()


@pytest.fixture
def core(catalog, encoder):
    with MultiRetriever(Index.from_catalog(catalog, encoder=encoder), mode="dense") as retriever:
        encoder.query_batches.clear()
        yield retriever


@pytest.fixture
def instructed(catalog):
    encoder = WordEncoder(instructions=InstructionSet.default())
    with MultiRetriever(Index.from_catalog(catalog, encoder=encoder), mode="dense") as retriever:
        yield retriever


@pytest.fixture
def slow_core(catalog):
    with MultiRetriever(Index.from_catalog(catalog, encoder=SlowEncoder()), mode="dense") as retriever:
        yield retriever


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def slow_encoder():
    return SlowEncoder()
