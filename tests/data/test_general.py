"""The general-retrieval set is whole, and as docs/data.md says."""

import json
from collections import Counter
from pathlib import Path

import pytest

from multiretriever.datasets import open_dataset
from multiretriever.datasets.checks import find_leaks, words_of

FOLDER = Path(__file__).parents[2] / "data" / "general"
PASSAGES, QUERIES, JUDGEMENTS, SEVERAL = 414, 520, 546, 25


def lines(name):
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def corpus():
    return lines("corpus.jsonl")


@pytest.fixture(scope="module")
def queries():
    return lines("queries.jsonl")


@pytest.fixture(scope="module")
def judged():
    rows = (FOLDER / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()
    return [tuple(row.split("\t")) for row in rows[1:]]


def test_counts(corpus, queries, judged):
    assert (len(corpus), len(queries), len(judged)) == (PASSAGES, QUERIES, JUDGEMENTS)
    assert sum(count > 1 for count in Counter(query for query, _, _ in judged).values()) == SEVERAL


def test_ids_resolve_and_every_query_has_an_answer(corpus, queries, judged):
    passage_ids, query_ids = ([item["_id"] for item in items] for items in (corpus, queries))
    assert len(set(passage_ids)) == len(passage_ids)
    assert len(set(query_ids)) == len(query_ids)
    assert {passage for _, passage, _ in judged} <= set(passage_ids)
    assert {query for query, _, score in judged if score == "1"} == set(query_ids)
    assert len({(query, passage) for query, passage, _ in judged}) == len(judged)


def test_no_text_stands_twice_and_none_is_empty(corpus, queries):
    for texts in ([item["title"] for item in corpus], [item["text"] for item in corpus], [item["text"] for item in queries]):
        words = [words_of(text) for text in texts]
        assert all(words)
        assert [text for text, count in Counter(words).items() if count > 1] == []
        assert [text for text in texts if text != text.strip()] == []


def test_lengths(corpus, queries):
    assert [item["_id"] for item in corpus if not 40 <= len(item["text"].split()) <= 90] == []
    assert [item["_id"] for item in queries if not 4 <= len(item["text"].split()) <= 20] == []


def test_every_subject_has_passages_that_compete(corpus, queries):
    subjects = Counter(item["_id"].rpartition("-")[0] for item in corpus)
    assert len(subjects) == 24
    assert min(subjects.values()) >= 16
    asked = Counter(item["_id"].removeprefix("q-").rpartition("-")[0] for item in queries)
    assert asked.keys() == subjects.keys()


def test_no_query_stands_in_a_passage():
    dataset = open_dataset(FOLDER)
    examples = list(dataset.given("test"))
    assert len(examples) == QUERIES
    assert find_leaks(dataset, examples) == []
