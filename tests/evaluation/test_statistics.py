import numpy as np
import pytest

from multiretriever.evaluation.measures import Sample, holm, interval, p_value


def sample(strata, units=None):
    units = range(len(strata)) if units is None else units
    return Sample(np.arange(len(strata)), tuple(strata), tuple(units))


def coins(count, share, seed=0):
    return (np.random.default_rng(seed).random(count) < share).astype(float)


def test_mean_gives_each_stratum_the_same_weight():
    values = np.array([1.0, 0.0, 0.0, 0.0, 1.0])
    assert sample(["x", "x", "x", "x", "y"]).mean(values) == pytest.approx((1 / 4 + 1) / 2)
    assert Sample(np.array([0, 4]), ("x", "y"), (0, 1)).mean(values) == 1


def test_interval_is_that_of_a_share():
    values = coins(1000, 0.8)
    low, high = interval(sample(["x"] * 1000), values)
    width = 1.96 * np.sqrt(values.mean() * (1 - values.mean()) / 1000)
    assert low == pytest.approx(values.mean() - width, abs=0.006)
    assert high == pytest.approx(values.mean() + width, abs=0.006)


def test_interval_is_the_same_each_time_and_follows_the_seed():
    values, chosen = np.random.default_rng(2).random(40), sample(["x"] * 20 + ["y"] * 20)
    assert interval(chosen, values, seed=7) == interval(chosen, values, seed=7)
    assert interval(chosen, values, seed=7) != interval(chosen, values, seed=8)


def test_queries_of_one_flow_count_once():
    # Ten equal queries a flow say no more than one.
    values = np.repeat(coins(30, 0.5), 10)
    alone = interval(sample(["x"] * 300), values)
    together = interval(sample(["x"] * 300, np.arange(300) // 10), values)
    single = interval(sample(["x"] * 30), values[::10])
    assert together[1] - together[0] > 2.5 * (alone[1] - alone[0])
    assert together == pytest.approx(single, abs=0.05)


def test_a_flow_over_several_types_is_drawn_as_one():
    strata = [("d", kind) for _ in range(20) for kind in ("step", "table")]
    values = np.repeat(coins(20, 0.5), 2)
    low, high = interval(sample(strata, np.arange(40) // 2), values)
    apart = interval(sample(strata), values)
    assert high - low > 1.2 * (apart[1] - apart[0])


def test_interval_without_width_and_without_enough_queries():
    assert interval(sample(["x"] * 5), np.ones(5)) == (1, 1)
    assert interval(sample(["x"]), np.ones(1)) is None
    assert interval(sample(["x", "x"], ["flow", "flow"]), np.ones(2)) is None
    # A stratum of one query adds a constant.
    low, high = interval(sample(["x"] * 50 + ["y"]), np.append(coins(50, 0.5), 1.0))
    assert 0.5 < low < high < 1


@pytest.mark.filterwarnings("error")
def test_nothing_is_warned_of():
    assert interval(sample(["x"] * 3), np.zeros(3)) == (0, 0)
    assert p_value(sample(["x"] * 3), np.zeros(3), np.zeros(3)) == 1


def test_p_values_of_clear_cases():
    base = coins(200, 0.5)
    better = np.where(coins(200, 0.3, seed=1) > 0, 1.0, base)
    assert p_value(sample(["x"] * 200), better, base) < 0.001
    assert p_value(sample(["x"] * 200), base, better) < 0.001
    assert p_value(sample(["x"] * 200), base, base) == 1
    assert p_value(sample(["x"] * 200), coins(200, 0.5, seed=5), base) > 0.05


def test_p_value_by_hand():
    # Three differences of one sign: of the eight ways to draw the signs, two are as far from zero.
    assert p_value(sample(["x"] * 3), np.ones(3), np.zeros(3)) == pytest.approx(2 / 8)
    # The three queries of one flow are one difference: two ways, both as far.
    assert p_value(sample(["x"] * 3, ["f"] * 3), np.ones(3), np.zeros(3)) == 1


def test_p_value_is_the_same_each_time():
    base, other = coins(300, 0.5), coins(300, 0.55, seed=3)
    assert p_value(sample(["x"] * 300), other, base) == p_value(sample(["x"] * 300), other, base)


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([]) == []
