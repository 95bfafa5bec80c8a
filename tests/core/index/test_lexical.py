import math

import numpy as np
import pytest

from multiretriever.core.index.lexical import LexicalIndex, top

TEXTS = ["red apple", "red stone", "blue stone"]


def make(texts, metadata=None):
    return LexicalIndex([str(index) for index in range(len(texts))], texts, metadata or [{} for _ in texts])


def test_scores_are_bm25():
    # Lucene's form, k1 = 1.5, b = 0.75. All texts have the mean length, so a word that occurs once counts 1 / (1 + 1.5) = 0.4.
    red = 0.4 * math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    apple = 0.4 * math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    assert make(TEXTS).scores("red apple", {}) == pytest.approx([red + apple, red, 0], abs=1e-6)


def test_longer_texts_count_less():
    scores = make(["red", "red stone wall house garden"]).scores("red", {})
    assert scores[0] > scores[1] > 0


@pytest.mark.parametrize("query", ["green", "the of and", "?!", "\ud800", "x" * 1000])
def test_nothing_shared_is_zero(query):
    assert make(TEXTS).scores(query, {}).tolist() == [0, 0, 0]


def test_case_does_not_matter():
    assert make(TEXTS).scores("RED", {}).tolist() == make(TEXTS).scores("red", {}).tolist()


@pytest.mark.parametrize("texts", [[], [""], ["", "..."], ["the"]])
def test_texts_without_words(texts):
    index = make(texts)
    assert index.scores("red", {}).tolist() == [0] * len(texts)
    assert len(top(index.scores("red", {}), 5)) == 0


def test_filters_leave_out():
    index = make(TEXTS, [{"n": 1, "scope": "a"}, {"n": True, "scope": "a"}, {"scope": "b"}])
    assert np.flatnonzero(index.scores("red", {"n": 1})).tolist() == [0]
    assert np.flatnonzero(index.scores("red", {"n": True})).tolist() == [1]
    assert np.flatnonzero(index.scores("red stone", {"scope": "a"})).tolist() == [0, 1]
    assert np.flatnonzero(index.scores("red stone", {"scope": "a", "n": 2})).tolist() == []


@pytest.mark.parametrize(
    ("scores", "k", "expected"),
    [
        ([0.1, 0.5, 0.3], 2, [1, 2]),
        ([0.5, 0.1, 0.5, 0.5], 2, [0, 2]),
        ([0.1, 0.5, 0.1, 0.1], 3, [1, 0, 2]),
        ([0.0, 0.2, 0.0], 3, [1]),
        ([0.0, 0.0], 2, []),
        ([], 2, []),
        ([0.3], 10**12, [0]),
    ],
)
def test_top(scores, k, expected):
    assert top(np.array(scores, dtype=np.float32), k).tolist() == expected
