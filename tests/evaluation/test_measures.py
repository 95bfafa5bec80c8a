from math import log2

import numpy as np
import pytest

from multiretriever.evaluation.measures import first_rank, measure


def test_values_by_hand():
    found = [["a", "x", "b"], ["x", "a"], [], ["x", "y", "z", "a"]]
    relevant = [{"a": 1, "b": 1, "c": 1}, {"a": 1}, {"a": 1}, {"a": 1}]
    values = measure(found, relevant, 3)
    assert values["recall"] == pytest.approx([2 / 3, 1, 0, 0])
    assert values["mrr@10"] == pytest.approx([1, 1 / 2, 0, 1 / 4])
    best = 1 + 1 / log2(3) + 1 / log2(4)
    assert values["ndcg@10"] == pytest.approx([(1 + 1 / log2(4)) / best, 1 / log2(3), 0, 1 / log2(5)])


def test_grades_weigh_linearly_in_ndcg_alone():
    values = measure([["low", "high"]], [{"low": 1, "high": 3}], 1)
    assert values["ndcg@10"] == pytest.approx([(1 + 3 / log2(3)) / (3 + 1 / log2(3))])
    assert values["recall"] == pytest.approx([1 / 2])
    assert values["mrr@10"] == pytest.approx([1])


def test_ten_is_the_end_of_ndcg_and_reciprocal_rank():
    found = [[f"x{place}" for place in range(10)] + ["a"]]
    values = measure(found, [{"a": 1}], 15)
    assert (values["recall"][0], values["mrr@10"][0], values["ndcg@10"][0]) == (1, 0, 0)


def test_more_than_ten_queries_stay_in_order():
    count = 25
    found = [["a"] if place % 3 else ["x"] for place in range(count)]
    values = measure(found, [{"a": 1}] * count, 5)
    assert values["recall"].tolist() == [float(bool(place % 3)) for place in range(count)]


def test_no_queries():
    assert {name: len(values) for name, values in measure([], [], 5).items()} == {"recall": 0, "ndcg@10": 0, "mrr@10": 0}


def test_against_the_measures_of_scikit_learn():
    # An independent count of nDCG, whose ties and grades are where mistakes hide.
    from sklearn.metrics import ndcg_score

    draw = np.random.default_rng(0)
    ids = [f"d{number}" for number in range(30)]
    for _ in range(12):
        ranked = [str(item) for item in draw.permutation(ids)]
        grades = {str(item): int(draw.integers(1, 4)) for item in draw.permutation(ids)[:4]}
        scores = [[-ranked.index(item) for item in ids]]
        theirs = ndcg_score([[grades.get(item, 0) for item in ids]], scores, k=10)
        assert measure([ranked], [grades], 5)["ndcg@10"] == pytest.approx([theirs])


def test_first_rank():
    assert first_rank(["x", "a", "b"], {"a": 1, "b": 1}) == 2
    assert first_rank(["x"], {"a": 1}) is None
