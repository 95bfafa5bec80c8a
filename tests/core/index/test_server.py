"""A Chroma server: shared by processes, and everything that goes wrong with one."""

import time
import uuid

import chromadb
import pytest
from chromadb.utils import embedding_functions

from catalogs import make_steps, small_catalog
from encoders import WordEncoder
from indexes import store_of
from multiretriever.core import Catalog, EncoderMismatchError, Index, IndexNotFoundError, MultiRetriever, Step, StoreError
from multiretriever.core.index.health import verify_index
from multiretriever.core.index.store import http_sessions
from processes import PATIENCE, start_python


@pytest.fixture
def name():
    return f"test_{uuid.uuid4().hex}"


@pytest.fixture
def client(server):
    opened = chromadb.HttpClient("127.0.0.1", server.port)
    yield opened
    opened.close()
    for session in http_sessions(opened):
        session.close()


def test_sync_and_retrieve(server, name, encoder):
    catalog = small_catalog()
    with pytest.raises(IndexNotFoundError):
        Index.open(server.url, encoder=encoder, name=name)
    with Index.from_catalog(catalog, server.url, encoder=encoder, name=name) as index:
        assert index.location == server.url
        assert {item.id for item in index.catalog()} == {item.id for item in catalog}
        assert verify_index(index) == []
        assert index.sync(catalog).total("unchanged") == len(catalog)
    with MultiRetriever.open(server.url + "/", encoder=encoder, name=name) as retriever:
        for mode in ("dense", "lexical", "hybrid"):
            assert retriever.retrieve("send a message", "step", mode=mode, where={"scope": "slack"})[0].id == "slack.post_message"
        assert retriever.ground("laptop")["catalog_item"][0].id == "it.new_laptop"


def test_another_encoder_is_refused(server, name):
    Index.from_catalog(small_catalog(), server.url, encoder=WordEncoder("first"), name=name).close()
    with pytest.raises(EncoderMismatchError, match=r"'first'.*'second'"):
        Index.open(server.url, encoder=WordEncoder("second"), name=name)


def test_large_writes_and_deletes(server, name, encoder):
    steps = make_steps(2_500)
    with Index.from_catalog(Catalog(steps), server.url, encoder=encoder, name=name) as index:
        assert {item.id: item for item in index.catalog()} == {item.id: item for item in steps}
        assert index.sync(Catalog(steps[:100]), allow_shrink=True).types["step"].deleted == 2_400
        assert set(index.elements("step", [f"absent{at}" for at in range(40_000)] + ["core.step_1"])) == {"core.step_1"}


def test_odd_values_pass_the_wire(server, name, encoder):
    steps = [Step(id=key, name="thing", metadata={"n": 2**63 - 1, "f": 0.1, "t": key}) for key in ("a\nb", "🎉", '"', "a b")]
    with Index.from_catalog(Catalog(steps), server.url, encoder=encoder, name=name) as index:
        assert {item.id: item for item in index.catalog()} == {item.id: item for item in steps}
        assert index.sync(Catalog(steps)).total("unchanged") == 4
        retriever = MultiRetriever(index)
        assert [hit.id for hit in retriever.retrieve("thing", "step", where={"t": "a\nb", "n": 2**63 - 1})] == ["a\nb"]


def test_many_collections_on_one_server_are_all_seen(server, client, name, encoder):
    for number in range(120):
        client.create_collection(f"{name}-other{number}", embedding_function=None)
    index = Index.from_catalog(Catalog(make_steps(3)), server.url, encoder=encoder, name=name)
    assert len([item for item in store_of(index).names() if item.startswith(name)]) == 122
    with Index.open(server.url, encoder=WordEncoder("new"), name=name, create=True) as new:
        new.sync(Catalog(make_steps(3)))
        assert len([item for item in store_of(new).names() if item.startswith(name)]) == 122
    index.close()


def test_closing_one_leaves_the_other_open(server, name, encoder):
    one = Index.from_catalog(small_catalog(), server.url, encoder=encoder, name=name)
    two = Index.open(server.url, encoder=encoder, name=name)
    one.close()
    assert [session.is_closed for session in http_sessions(store_of(one)._client)] == [True, True]
    assert len(two.catalog()) == len(small_catalog())
    two.close()


# Says what it finds for each line that it reads.
READER = """
import sys
from encoders import WordEncoder
from multiretriever.core import MultiRetriever, MultiRetrieverError
with MultiRetriever.open(sys.argv[1], encoder=WordEncoder(), name=sys.argv[2]) as retriever:
    print("open", flush=True)
    for line in sys.stdin:
        try:
            print(",".join(hit.id for hit in retriever.retrieve(line.strip(), "step", k=2)), flush=True)
        except MultiRetrieverError as error:
            print(type(error).__name__, flush=True)
"""


def ask_until(child, query, good):
    """Asks until the answer is good: another process's sync may go unnoticed for a second."""
    end = time.monotonic() + PATIENCE
    while True:
        child.stdin.write(query + "\n")
        child.stdin.flush()
        answer = child.stdout.readline().strip()
        if good(answer) or time.monotonic() > end:
            return answer
        assert answer, child.stderr.read()
        time.sleep(0.1)


def test_two_processes_see_each_others_syncs(server, name, encoder):
    with Index.from_catalog(small_catalog(), server.url, encoder=encoder, name=name) as index:
        child = start_python(READER, server.url, name)
        try:
            assert child.stdout.readline() == "open\n"
            assert ask_until(child, "send a message", bool).startswith("slack.post_message,")
            # Elements come and go.
            steps = [step for step in small_catalog().of("step") if step.name != "post_message"]
            index.sync(Catalog([*steps, Step(name="shout_aloud")]), allow_shrink=True)
            assert ask_until(child, "shout aloud", lambda answer: answer.startswith("shout_aloud,")).startswith("shout_aloud,")
            assert "post_message" not in ask_until(child, "send a message", bool)
            # Generations change: the reader's encoder does not fit any more, and then fits again.
            with Index.open(server.url, encoder=WordEncoder("new"), name=name, create=True) as other:
                other.sync(Catalog(steps), allow_shrink=True)
            assert ask_until(child, "x", lambda answer: answer == "EncoderMismatchError") == "EncoderMismatchError"
            index.sync(small_catalog())
            assert ask_until(child, "send a message", lambda answer: "Error" not in answer).startswith("slack.post_message,")
        finally:
            child.kill()
            child.communicate(timeout=PATIENCE)


def test_two_writers_in_two_processes_end_with_a_sound_index(server, name):
    code = """
import sys
from catalogs import make_steps
from encoders import WordEncoder
from multiretriever.core import Catalog, Index
with Index.open(sys.argv[1], encoder=WordEncoder(), name=sys.argv[2], create=True) as index:
    for _ in range(3):
        index.sync(Catalog(make_steps(300)))
"""
    children = [start_python(code, server.url, name) for _ in range(2)]
    results = [child.communicate(timeout=PATIENCE) for child in children]
    assert [child.returncode for child in children] == [0, 0], results
    with Index.open(server.url, encoder=WordEncoder(), name=name) as index:
        assert len(index.catalog()) == 300
        assert verify_index(index) == []


made = []


@embedding_functions.register_embedding_function
class Hostile(chromadb.EmbeddingFunction):
    """Stands for one whose making does harm."""

    def __init__(self, note=""):
        made.append(note)

    def __call__(self, input):
        made.append(input)
        return [[0.0] * 64 for _ in input]

    @staticmethod
    def name():
        return "hostile"

    def get_config(self):
        return {"note": "from the server"}

    @staticmethod
    def build_from_config(config):
        return Hostile(config["note"])


@pytest.mark.parametrize("kind", ["manifest", "step"])
def test_a_collection_with_an_embedding_function_is_refused(server, client, name, encoder, kind):
    with Index.open(server.url, encoder=encoder, name=name, create=True) as index:
        if kind == "step":
            index.sync(small_catalog())
            collection = index.entry("step").collection
            client.delete_collection(collection)
        else:
            collection = f"{name}-manifest"
        client.create_collection(collection, embedding_function=Hostile("here")).add(
            ids=["x"], embeddings=[[1.0] * 64], documents=["x"]
        )
        made.clear()
        for action in (
            lambda: MultiRetriever(index).retrieve("x", "step"),
            lambda: MultiRetriever(index).retrieve("x", "step", mode="lexical"),
            lambda: index.sync(small_catalog()),
            index.catalog,
        ):
            store_of(index).manifests.clear()
            with pytest.raises(StoreError, match="'hostile'"):
                action()
        if kind == "step":
            assert any("hostile" in problem for problem in verify_index(index))
    assert made == []


def test_the_default_embedding_function_of_a_server_is_not_used_either(server, client, name, encoder):
    client.create_collection(f"{name}-manifest")
    with pytest.raises(StoreError, match="embedding function"):
        Index.open(server.url, encoder=encoder, name=name)
