import random

import numpy as np
import pytest

from encoders import FixedEncoder
from multiretriever.core import Catalog, CatalogItem, Field, ParameterError, Step, Table
from multiretriever.core.example import Example
from multiretriever.training.pairs.negatives import Miner, NegativeSampler, in_band
from multiretriever.training.pairs.pair import KnownAnswers
from multiretriever.training.recipe import Band


def example(relevant, *, element_type="step", query="q", context=None, nearby=()):
    return Example("e", element_type, query, tuple(relevant), context or {}, nearby=tuple(nearby))


def kinds_of(sampler, item, positive, known=(), tries=200):
    """Returns all that is ever drawn, by where it comes from."""
    found = {}
    for seed in range(tries):
        for element, kind in sampler.draw(item, positive, {*item.relevant, *known}, random.Random(seed)):
            found.setdefault(kind, set()).add(element.id)
    return found


@pytest.fixture
def catalog():
    return Catalog(
        [
            *(Step(scope="chat", name=name) for name in ("post_message", "open_channel", "close_channel")),
            *(Step(scope="mail", name=name) for name in ("post_letter", "read_letter")),
            *(Step(scope="far", name=f"thing_{number}") for number in range(20)),
            Step(scope="chat", name="message_received", kind="trigger"),
            *(Table(scope="a", name=name, extends="task") for name in ("ticket", "change")),
            Table(scope="b", name="task"),
            Table(scope="b", name="person"),
            *(Field(scope="a", table="ticket", name=name) for name in ("state", "caller")),
            *(Field(scope="a", table="change", name=name) for name in ("state", "risk")),
            Field(scope="b", table="person", name="mail"),
            *(CatalogItem(scope="s", name=name, metadata={"category": "x"}) for name in ("one", "two")),
        ]
    )


def test_near_misses_of_steps(catalog):
    positive = catalog.get("step", "chat.post_message")
    item = example([positive.id], nearby=["far.thing_1", "gone.step"])
    found = kinds_of(NegativeSampler(catalog), item, positive)
    assert found["scope"] == {"chat.open_channel", "chat.close_channel"}
    # The same verb elsewhere.
    assert found["sibling"] == {"mail.post_letter"}
    assert found["flow"] == {"far.thing_1"}
    assert len(found["random"]) > 15


def test_near_misses_of_tables_fields_and_items(catalog):
    sampler = NegativeSampler(catalog, random_count=0)
    found = kinds_of(sampler, example(["a.ticket"], element_type="table"), catalog.get("table", "a.ticket"))
    assert set.union(*found.values()) == {"a.change", "b.task", "b.person"}
    assert found["sibling"] == {"a.change"}
    field = catalog.get("field", "a.ticket.state")
    found = kinds_of(NegativeSampler(catalog, random_count=0), example([field.id], element_type="field"), field)
    assert found == {"table": {"a.ticket.caller"}, "sibling": {"a.change.state"}}
    one = catalog.get("catalog_item", "s.one")
    found = kinds_of(NegativeSampler(catalog), example([one.id], element_type="catalog_item"), one)
    assert set.union(*found.values()) == {"s.two"}


def test_never_another_answer(catalog):
    positive = catalog.get("step", "chat.post_message")
    known = {"chat.open_channel", "mail.post_letter"}
    found = kinds_of(NegativeSampler(catalog), example([positive.id]), positive, known)
    assert not set.union(*found.values()) & {*known, positive.id}
    assert found["scope"] == {"chat.close_channel"}


def test_numbers_and_repeatability(catalog):
    positive = catalog.get("step", "chat.post_message")
    sampler = NegativeSampler(catalog, random_count=3, hard_count=2)
    drawn = [sampler.draw(example([positive.id]), positive, {positive.id}, random.Random(seed)) for seed in (4, 4, 5)]
    assert drawn[0] == drawn[1] != drawn[2]
    for negatives in drawn:
        ids = [element.id for element, _ in negatives]
        assert len(set(ids)) == len(ids) == 5
        assert sum(kind == "random" for _, kind in negatives) == 3
    assert NegativeSampler(catalog, random_count=0, hard_count=0).draw(example(["x"]), positive, (), random.Random(0)) == []


def test_where_near_misses_run_out_random_ones_stand_in(catalog):
    positive = catalog.get("field", "b.person.mail")
    drawn = NegativeSampler(catalog).draw(example([positive.id], element_type="field"), positive, {positive.id}, random.Random(1))
    assert {kind for _, kind in drawn} == {"random"}
    assert {element.id for element, _ in drawn} == {"a.ticket.state", "a.ticket.caller", "a.change.state", "a.change.risk"}


def test_answers_known_from_other_flows():
    known = KnownAnswers()
    known.add(example(["a"], query="Tell  them"))
    known.add(example(["b", "a"], query="tell them"))
    known.add(example(["c"], query="tell them", element_type="table"))
    known.add(example(["d"], query="tell them", context={"table": "t"}))
    assert known.of(example(["a"], query="tell them")) == {"a", "b"}
    assert known.of(example(["c"], query="tell them", element_type="table")) == {"c"}
    assert known.of(example(["x"], query="tell them", context={"table": "t"})) == {"d", "x"}
    assert known.of(example(["x"], query="never seen")) == {"x"}
    assert len(known) == 3


def test_refines_band_by_hand():
    # The five nearest of all are out, wherever they lie; of the rest, those from 0.5 to 0.7.
    scores = np.array([0.71, 0.9, 0.69, 0.6, 0.99, 0.5, 0.8, 0.49, 0.65, 0.1], dtype=np.float32)
    assert in_band(scores, Band()).tolist() == [8, 3, 5]
    # sentence-transformers' range_min would leave out the five best within the band, which is everything here.
    assert in_band(scores, Band(skip=0)).tolist() == [2, 8, 3, 5]
    assert in_band(scores, Band(low=0.7, high=1.0, skip=1)).tolist() == [1, 6, 0]


def test_mined_negatives_are_no_known_answers():
    angles = {"s0": 0.0, "s1": 0.8, "s2": 0.9, "s3": 1.0, "s4": 1.5}
    vectors = {name: (float(np.cos(angle)), float(np.sin(angle))) for name, angle in angles.items()}
    steps = [Step(scope="x", name=name) for name in angles]
    miner = Miner(FixedEncoder({**vectors, "ask": (1.0, 0.0)}), steps, list(angles), band=Band(skip=1))
    # Cosines 1, 0.697, 0.622, 0.540, 0.071.
    found = miner.mine([example(["x.s0"], query="ask")] * 2, [{"x.s0"}, {"x.s0", "x.s2"}], 2)
    assert [[item.name for item in items] for items in found] == [["s1", "s2"], ["s1", "s3"]]


@pytest.mark.parametrize("values", [{"low": 0.8, "high": 0.7}, {"low": -2}, {"skip": -1}])
def test_impossible_bands(values):
    with pytest.raises(ParameterError, match="a band needs"):
        Band(**values)
