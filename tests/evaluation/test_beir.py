import json

import pytest

from encoders import WordEncoder
from multiretriever.core import element_type, unregister_element_type
from multiretriever.core.errors import DatasetError, ParameterError
from multiretriever.datasets import BeirDataset, Dataset, open_dataset
from multiretriever.evaluation import Selection, evaluate, retriever_systems

CORPUS = [
    {"_id": "d1", "title": "Tides", "text": "The moon pulls at the sea.", "metadata": {}},
    {"_id": "d2", "title": "", "text": "Bread rises because of yeast."},
    {"_id": "d3", "title": None, "text": ""},
]
QUERIES = [{"_id": "q1", "text": "why does the sea move"}, {"_id": "q2", "text": "yeast"}, {"_id": "q3", "text": "unjudged"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t1\nq1\td3\t0\nq2\td3\t0\n"


@pytest.fixture(autouse=True)
def forget():
    yield
    unregister_element_type("passage")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "sea"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, CORPUS)) + "\n", encoding="utf-8")
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, QUERIES)), encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text(QRELS, encoding="utf-8")
    return folder


def test_read(folder):
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\r\nq2\td2\t1\r\n", encoding="utf-8")
    dataset = open_dataset(folder)
    assert isinstance(dataset, BeirDataset)
    assert (dataset.name, dataset.splits, len(dataset.catalog)) == ("sea", ("dev", "test"), 3)
    (example,) = dataset.examples("test")
    assert (example.id, example.element_type, example.query, example.relevant) == (
        "q1",
        "passage",
        QUERIES[0]["text"],
        ("d1", "d2"),
    )
    assert [item.id for item in dataset.examples()] == ["q2", "q1"]
    assert list(dataset.examples(kinds=["step.annotation"])) == []
    assert dataset.grades == {"q1": {"d1": 2, "d2": 1}, "q2": {"d2": 1}}
    kind = element_type("passage")
    assert [kind.text(item) for item in dataset.catalog] == ["Tides\n" + CORPUS[0]["text"], CORPUS[1]["text"], "d3"]
    with pytest.raises(ParameterError, match="dev, test"):
        list(dataset.examples("train"))


def test_evaluate_with_grades(folder, fixed):
    dataset = open_dataset(folder)
    only = dataset.only("test")
    assert (only.name, only.splits, list(only.given())) == (f"{dataset.name}/test", (), list(dataset.given("test")))
    report = evaluate(dataset, [fixed("swapped", {"q1": ["d2", "d1"]})], selection=Selection("test"))
    assert report.k == {"passage": 10}
    assert report.values["swapped"]["ndcg@10"][0] == pytest.approx((1 + 2 / 1.58496) / (2 + 1 / 1.58496), abs=1e-4)
    assert evaluate(dataset, retriever_systems(WordEncoder())).values["lexical"]["recall"] == (0.5,)


def test_other_folders_are_datasets(folder):
    (folder / "qrels" / "test.tsv").unlink()
    (folder / "qrels").rmdir()
    (folder / "corpus.jsonl").unlink()
    (folder / "dataset.yaml").write_text("name: mine", encoding="utf-8")
    (folder / "catalog").mkdir()
    (folder / "catalog" / "step.jsonl").write_text('{"name": "a"}', encoding="utf-8")
    assert type(open_dataset(folder)) is Dataset


@pytest.mark.parametrize(
    ("file", "text", "line", "words"),
    [
        ("corpus.jsonl", '{"_id": "d1", "text": "x"}\n{"_id": "d1", "text": "y"}', 2, ["'d1'", "twice", "line 1"]),
        ("corpus.jsonl", '{"_id": "d1"}', 1, ["text", "missing"]),
        ("corpus.jsonl", '{"_id": 1, "text": "x"}', 1, ["_id"]),
        ("corpus.jsonl", "{", 1, ["not JSON"]),
        ("corpus.jsonl", "[]", 1, []),
        ("queries.jsonl", '{"_id": "q1", "text": " "}', 1, ["empty"]),
        ("queries.jsonl", '{"_id": "q1", "text": "a", "text": "b"}', 1, ["twice"]),
        ("qrels/test.tsv", "q1\td1\t1\n", 1, ["header", "query-id"]),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\n", 2, ["3 cells", "got 2"]),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\tmuch\n", 2, ["'much'"]),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq9\td1\t1\n", 2, ["'q9'"]),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td9\t1\n", 2, ["'d9'", "'q1'"]),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td1\t2\n", 3, ["twice"]),
        ("qrels/test.tsv", "", 1, ["header"]),
    ],
)
def test_problems_have_their_place(folder, file, text, line, words):
    (folder / file).write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder)
    found = [problem for problem in caught.value.problems if problem.source == str(folder / file)]
    assert found[0].line == line
    assert all(word in str(found[0]) for word in words)


def test_no_judgements(folder):
    (folder / "qrels" / "test.tsv").unlink()
    with pytest.raises(DatasetError, match="qrels"):
        open_dataset(folder)
