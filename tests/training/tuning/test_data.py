from collections import Counter

import pytest

from multiretriever.core import InstructionSet
from multiretriever.core.errors import ParameterError, TrainingError
from multiretriever.datasets import Dataset
from multiretriever.training.recipe import DataSection
from multiretriever.training.tuning.train import training_pairs
from small_dataset import write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return Dataset.from_path(write_dataset(tmp_path_factory.mktemp("small")))


def pairs(dataset, **section):
    return training_pairs([dataset], DataSection.model_validate(section), instructions=InstructionSet.default())[0]


def by(found, key):
    return Counter(getattr(pair, key) for pair in found)


def test_all_pairs_come_in_an_order_of_chance_that_the_seed_decides(dataset):
    found = pairs(dataset)
    assert found == pairs(dataset)
    assert found != pairs(dataset, pairs={"seed": 1})
    assert [pair.kind for pair in found] != sorted(pair.kind for pair in found)


def test_only_the_types_that_are_asked_for(dataset):
    assert set(by(pairs(dataset, element_types=["table"]), "element_type")) == {"table"}


def test_numbers_of_a_kind_are_limited_and_a_star_is_for_the_others(dataset):
    whole = by(pairs(dataset), "kind")
    found = by(pairs(dataset, per_kind={"step.annotation": 2, "*": 1}), "kind")
    assert whole["step.annotation"] > 2
    assert found["step.annotation"] == 2
    # What was written down is of three element types.
    assert {kind: count for kind, count in found.items() if kind not in ("step.annotation", "given")} == {
        kind: 1 for kind in whole if kind not in ("step.annotation", "given")
    }
    assert found["given"] == 3
    assert by(pairs(dataset, per_kind={"step.annotation": 2}), "kind")["step.flow"] == whole["step.flow"]


def test_one_pair_of_a_query_knows_all_its_answers(dataset):
    whole = pairs(dataset)
    found = pairs(dataset, answers_per_query=1)
    assert set(by(found, "query_id")) == set(by(whole, "query_id"))
    assert set(by(found, "query_id").values()) == {1}
    requirement = next(pair for pair in found if pair.kind == "step.requirement" and pair.query_id.startswith("chase"))
    assert len(requirement.relevant_ids) > 1


def test_small_types_are_repeated_four_times_at_most(dataset):
    whole, found = by(pairs(dataset), "element_type"), by(pairs(dataset, least_per_type=30), "element_type")
    for name, count in whole.items():
        times = 1 if count >= 30 else min(4, -(-30 // count))
        assert found[name] == count * times


def test_nothing_to_train_on_is_told(dataset):
    with pytest.raises(TrainingError, match="small"):
        pairs(dataset, element_types=["nothing"])
    with pytest.raises(ParameterError, match="--data"):
        training_pairs([], DataSection(), instructions=None)
