import json
from dataclasses import replace

import pytest

from encoders import WordEncoder
from multiretriever.core import Flow, InstructionSet, ParameterError
from multiretriever.core.encoders import default_encoder
from multiretriever.core.errors import DatasetError
from multiretriever.core.example import Example
from multiretriever.datasets import Dataset
from multiretriever.datasets.examples import FLOW_KINDS
from multiretriever.training.pairs import PairBuilder
from multiretriever.training.recipe import Band, PairSettings
from small_dataset import CHASE, write_dataset


def build(dataset, *, instructions=None, encoder=None, split=None, **settings):
    settings.setdefault("descriptions", ())
    builder = PairBuilder(dataset, PairSettings.of(**settings), instructions=instructions, encoder=encoder, split=split)
    return list(builder.build()), builder.report


def test_a_pair_is_what_the_encoder_reads(dataset):
    pairs, _ = build(dataset, instructions=InstructionSet.default(), kinds=("step.annotation.scope",))
    pair = next(item for item in pairs if item.query_id == "greet-0#step.annotation.scope#1")
    assert pair.query == (
        "Represent this annotation and scope for searching the step that does it:\nscope: chat\nannotation: say hello"
    )
    assert pair.instruction == "Represent this annotation and scope for searching the step that does it:"
    assert (pair.prompt.body, pair.prompt.text) == ("scope: chat\nannotation: say hello", pair.query)
    assert (pair.bare, pair.context) == ("chat\nsay hello", ("scope",))
    assert pair.positive == "post message\nchat\nWrites into a channel."
    assert (pair.positive_id, pair.relevant_ids) == ("chat.post_message", ("chat.post_message",))
    assert (pair.template, pair.kind, pair.element_type) == ("step.annotation.scope", "step.annotation.scope", "step")
    assert (pair.dataset, pair.language) == ("small", "en")
    assert len(pair.negatives) == len(pair.negative_ids) == len(pair.negative_kinds) == 4


def test_without_instructions(dataset):
    pairs, _ = build(dataset, kinds=("step.annotation.scope",))
    assert (pairs[1].query, pairs[1].template) == ("chat\nsay hello", "")
    assert (pairs[1].bare, pairs[1].prompt.text) == ("chat\nsay hello", "chat\nsay hello")


def test_the_bare_query_is_the_same_with_and_without_instructions(dataset):
    settings = {"descriptions": ("catalog_item",), "random_negatives": 0}
    instructed, _ = build(dataset, instructions=InstructionSet.default(), **settings)
    without, _ = build(dataset, **settings)
    assert [pair.bare for pair in instructed] == [pair.bare for pair in without] == [pair.query for pair in without]
    assert {"flow", "scope", "table"} <= {name for pair in instructed for name in pair.context}


def test_every_kind_is_made_and_each_answer_is_a_pair(dataset):
    pairs, report = build(dataset, descriptions=("catalog_item",))
    kinds = {pair.kind for pair in pairs}
    assert kinds == {*FLOW_KINDS, "given", "catalog_item.description", "catalog_item.description.scope"}
    positives = [pair.positive_id for pair in pairs if pair.query_id == "chase-1#step.requirement#0"]
    assert positives == [
        "core.daily",
        "core.look_up_records",
        "core.for_each",
        "core.if",
        "chat.post_message",
        "core.update_record",
    ]
    assert report.flows == 2
    assert sum(row["pairs"] for row in report.rows()) == len(pairs)


def test_no_negative_is_a_known_answer(dataset):
    other = Flow(
        name="other", requirement="x", steps=[{"annotation": "tell them", "definition": "chat.open_channel", "order": 1}]
    )
    merged = Dataset(dataset.catalog, flows=[Flow.from_yaml(CHASE), other])
    pairs, _ = build(merged, kinds=("step.annotation", "step.requirement"))
    told = [pair for pair in pairs if pair.query.endswith("tell them")]
    assert [pair.relevant_ids for pair in told] == [("chat.open_channel", "chat.post_message")] * 2
    assert all(not set(pair.negative_ids) & set(pair.relevant_ids) for pair in pairs)
    assert all(pair.positive_id in pair.relevant_ids for pair in pairs)


def test_a_description_that_is_the_query_is_not_in_the_texts(dataset):
    pairs, _ = build(dataset, kinds=("given",), descriptions=("catalog_item",))
    laptop = next(pair for pair in pairs if pair.query_id == "shop.laptop#description")
    assert laptop.query == "A computer to carry around."
    assert laptop.positive == "Laptop\nshop"
    # Nor in those of the others, or answers could be told by having no description.
    assert all("display" not in text for text in laptop.negatives)


def test_the_same_seed_gives_the_same_pairs_and_another_other_negatives(dataset):
    first, again, other = (build(dataset, seed=seed)[0] for seed in (3, 3, 4))
    assert first == again
    assert [pair.positive_id for pair in first] == [pair.positive_id for pair in other]
    assert [pair.negative_ids for pair in first] != [pair.negative_ids for pair in other]


def test_what_others_ask_does_not_change_a_querys_pair(dataset):
    alone, _ = build(dataset, kinds=("step.annotation",))
    among, _ = build(dataset, kinds=("given", "step.annotation", "table.flow"))
    assert [pair for pair in among if pair.kind == "step.annotation"] == alone


def test_frequent_answers_are_thinned(dataset):
    flow = Flow.from_yaml(CHASE)
    flows = [flow.model_copy(update={"name": f"f{number}"}) for number in range(50)]
    pairs, report = build(Dataset(dataset.catalog, flows=flows), kinds=("step.annotation",))
    counts = {use[2]: count for use, count in report.kept.items()}
    assert set(counts.values()) == {12}
    assert set(report.uses.values()) == {50}
    assert len(pairs) == 12 * 6
    assert len(build(Dataset(dataset.catalog, flows=flows), kinds=("step.annotation",), balance=False)[0]) == 300
    assert report.frequencies(balanced=True)["step"] == [12] * 6


def test_flows_in_context_are_varied_as_people_build_them(dataset):
    flow = Flow.from_yaml(CHASE)
    flows = [flow.model_copy(update={"name": f"f{number}"}) for number in range(60)]
    pairs, _ = build(
        Dataset(dataset.catalog, flows=flows), kinds=("step.flow",), balance=False, instructions=InstructionSet.default()
    )
    texts = [pair.query for pair in pairs]
    for part in ("name: f", "requirement: each day", "conditions: state=open"):
        share = sum(part in text for text in texts) / len(texts)
        assert 0.3 < share < 0.95, part
    assert all(text.split("\n")[-1].startswith("annotation: ") for text in texts)


def test_mined_negatives(dataset):
    pairs, report = build(
        dataset, kinds=("step.annotation",), mined_negatives=2, band=Band(low=-1, high=1, skip=0), encoder=WordEncoder()
    )
    assert report.negatives["mined"] == 2 * len(pairs)
    for pair in pairs:
        mined = [item for item, kind in zip(pair.negative_ids, pair.negative_kinds, strict=True) if kind == "mined"]
        assert len(mined) == 2
        assert len(set(pair.negative_ids)) == len(pair.negative_ids)
        assert not set(mined) & set(pair.relevant_ids)


def test_mining_with_the_shipped_encoder(dataset):
    pairs, report = build(
        dataset, kinds=("step.annotation",), mined_negatives=1, band=Band(low=0.1, high=0.6, skip=1), encoder=default_encoder()
    )
    assert 0 < report.negatives["mined"] <= len(pairs)


def test_mining_needs_an_encoder(dataset):
    with pytest.raises(ParameterError, match="needs an encoder"):
        build(dataset, mined_negatives=1)


def test_the_training_split_is_taken_by_itself(tmp_path):
    settings = "flows: {train: flows/a_greet.yaml, dev: flows/b_chase.yaml}\nqueries: {dev: queries.jsonl}\n"
    split = Dataset.from_path(write_dataset(tmp_path / "split", settings=settings))
    assert {pair.query_id.partition("-")[0] for pair in build(split, descriptions=())[0]} == {"greet"}
    assert {pair.query_id.partition("-")[0] for pair in build(split, descriptions=(), split="dev")[0]} == {
        "chase",
        "q1",
        "q2",
        "q3",
    }
    with pytest.raises(ParameterError, match="no split 'test'; it has train, dev"):
        build(split, split="test")


def test_answers_that_do_not_exist_are_refused_before_anything_is_made(dataset):
    wrong = Dataset(dataset.catalog, queries=[Example("q", "step", "x", ("core.if", "core.gone"))])
    with pytest.raises(DatasetError, match=r"query q: the catalog has no step 'core\.gone'"):
        build(wrong)


def test_definitions_that_do_not_exist_are_told(dataset):
    flow = Flow.from_yaml(CHASE.replace("core.for_each", "core.for_all"))
    _, report = build(Dataset(dataset.catalog, flows=[flow]))
    assert report.unknown == {"core.for_all": 1}


@pytest.mark.parametrize(
    "values", [{"kinds": ["step.nothing"]}, {"kinds": []}, {"random_negatives": -1}, {"hard_negatives": 1.5}]
)
def test_impossible_settings(values):
    with pytest.raises(ParameterError):
        PairSettings.of(**values)


def test_pairs_survive_as_rows(dataset):
    pairs, _ = build(dataset)
    back = [type(pair).from_dict(json.loads(json.dumps({**pair.to_dict(), "more": 1}))) for pair in pairs]
    assert back == pairs
    assert replace(pairs[0], query="x") != pairs[0]
