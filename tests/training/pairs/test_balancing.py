from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiretriever.training.pairs.balancing import Balancer, factor, kept


@pytest.mark.parametrize(("uses", "expected"), [(0, 1), (1, 1), (5, 1), (50, 4), (500, 16), (5000, 64)])
def test_the_papers_points_and_their_neighbours(uses, expected):
    assert factor(uses) == pytest.approx(expected)


@pytest.mark.parametrize(("uses", "expected"), [(0, 0), (1, 1), (5, 5), (6, 5), (50, 12), (500, 31), (5000, 78)])
def test_how_many_are_kept(uses, expected):
    assert kept(uses) == expected


def test_more_uses_are_never_kept_less_and_never_more_than_there_are():
    counts = [kept(uses) for uses in range(20_000)]
    assert counts == sorted(counts)
    assert all(count <= uses for uses, count in enumerate(counts))


@given(st.integers(0, 3000), st.integers(0, 5))
def test_exactly_so_many_are_kept_whatever_the_seed(uses, seed):
    use = ("step", "step.annotation", "core.if")
    balancer = Balancer({use: uses}, seed=seed)
    assert sum(balancer.keeps(use) for _ in range(uses)) == kept(uses)


def test_kept_uses_are_spread_and_other_seeds_keep_others():
    use = ("step", "step.annotation", "core.if")

    def places(seed):
        balancer = Balancer({use: 500}, seed=seed)
        return [place for place in range(500) if balancer.keeps(use)]

    gaps = {later - earlier for earlier, later in zip(places(1), places(1)[1:], strict=False)}
    assert gaps == {16, 17}
    assert places(1) == places(1)
    assert places(1) != places(2)


def test_each_kind_of_query_is_balanced_by_itself():
    uses = Counter({("step", "step.annotation", "a"): 50, ("step", "step.flow", "a"): 5, ("step", "step.flow", "b"): 3})
    balancer = Balancer(uses)
    found = Counter({use: sum(balancer.keeps(use) for _ in range(count)) for use, count in uses.items()})
    assert found == {("step", "step.annotation", "a"): 12, ("step", "step.flow", "a"): 5, ("step", "step.flow", "b"): 3}


def test_switched_off():
    balancer = Balancer({("step", "given", "a"): 500}, enabled=False)
    assert all(balancer.keeps(("step", "given", "a")) for _ in range(500))
