import numpy as np
import pytest

from catalogs import small_catalog
from encoders import WindowEncoder, WordEncoder
from multiretriever.core import Index, InstructionSet, MultiRetriever, ParameterError
from multiretriever.core.example import Example
from multiretriever.datasets import Dataset
from multiretriever.evaluation import Selection, System, evaluate, retriever_systems

QUERIES = [
    Example("s1", "step", "send something to a channel", ("slack.post_message",)),
    Example("s2", "step", "find records", ("core.look_up_records",)),
    Example("f1", "field", "who called", ("core.incident.caller_id",), {"table": "incident"}),
    Example("t1", "table", "people", ("core.sys_user",)),
]


@pytest.fixture
def dataset():
    return Dataset(small_catalog(), name="small", queries=QUERIES)


def test_rankings_are_those_of_the_retriever(dataset):
    encoder = WordEncoder()
    systems = retriever_systems(encoder)
    assert [system.name for system in systems] == ["lexical", "dense", "hybrid"]
    assert all(isinstance(system, System) for system in systems)
    report = evaluate(dataset, systems)
    with Index.from_catalog(dataset.catalog, encoder=encoder) as index:
        for mode in ("lexical", "dense", "hybrid"):
            for place, query in enumerate(report.queries):
                example = next(item for item in QUERIES if item.id == query.id)
                hits = MultiRetriever(index, mode=mode).retrieve(example.query, query.element_type, k=5, context=example.context)
                found = report.found[mode][place]
                assert [item for item, _ in found] == [hit.id for hit in hits]
                assert [score for _, score in found] == pytest.approx([hit.score for hit in hits], abs=1e-5)


def test_everything_is_encoded_once_for_each_encoder(dataset):
    encoders = {"a": WordEncoder("a"), "b": WordEncoder("b", dimension=32)}
    report = evaluate(dataset, retriever_systems(encoders))
    assert [item.name for item in report.systems] == ["lexical", "a/dense", "a/hybrid", "b/dense", "b/hybrid"]
    for encoder in encoders.values():
        # Steps, fields and tables; nobody looks for catalog items and workflows.
        assert encoder.documents == 5 + 3 + 3
        assert [len(batch) for batch in encoder.query_batches] == [2, 1, 1]


def test_words_need_no_encoder(dataset):
    (system,) = retriever_systems("/no/such/encoder", ["lexical"])
    report = evaluate(dataset, [system])
    assert report.values["lexical"]["recall"][0] == 1
    assert report.systems[0].encoder == ""


def test_instructions_reach_the_encoder(dataset):
    encoder = WordEncoder(instructions=InstructionSet.default())
    report = evaluate(dataset, retriever_systems(encoder, ["dense"]), selection=Selection(element_types=["field"]))
    assert report.systems[0].tuned
    assert "table: incident" in encoder.query_batches[0][0]


def test_shortened_queries_are_counted(dataset, recwarn):
    report = evaluate(
        dataset, retriever_systems(WindowEncoder(3), ["dense", "hybrid"]), selection=Selection(element_types=["step"])
    )
    assert [item.truncated for item in report.systems] == [1, 1]
    assert not [warning for warning in recwarn if "tokens" in str(warning.message)]


def test_indexes_are_closed(dataset, monkeypatch):
    closed = []
    close = Index.close
    monkeypatch.setattr(Index, "close", lambda self: (closed.append(self), close(self)))
    systems = retriever_systems(WordEncoder())
    monkeypatch.setattr(systems[1], "search", lambda *_: np.zeros(0))
    with pytest.raises(ParameterError):
        evaluate(dataset, systems)
    assert len(closed) == 1


def test_wrong_arguments():
    for modes in ([], ["dense", "dense"], ["fuzzy"]):
        with pytest.raises(ParameterError, match="dense"):
            retriever_systems(WordEncoder(), modes)
    with pytest.raises(ParameterError, match="encoder"):
        retriever_systems({})
