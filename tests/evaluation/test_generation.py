"""Measuring generators on the flows of a dataset."""

import pytest

from encoders import WordEncoder
from multiretriever.core import Flow, LLMError, ParameterError
from multiretriever.datasets import Dataset
from multiretriever.evaluation import Generated, GenerationReport, evaluate_generation, rule_generators
from small_dataset import write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return Dataset.from_path(write_dataset(tmp_path_factory.mktemp("data") / "small"))


class Answers:
    """Gives for each flow what a function makes of it."""

    def __init__(self, name, make):
        self.name = name
        self.generate = lambda dataset, expected: make(expected)


def copy(expected):
    return Generated(Flow.model_validate({"requirement": expected.requirement, **expected.to_dict()}))


def liar(expected):
    steps = [{"definition": "core.conjure", "inputs": {}} for _ in expected.steps]
    return Generated(Flow.model_validate({"steps": steps, "trigger": {"definition": "core.whim"}}), changes=("nothing",))


def test_the_right_flow_a_made_up_one_and_none(dataset):
    generators = [Answers("copy", copy), Answers("liar", liar), Answers("mute", lambda _: Generated(None, error="no YAML"))]
    report = evaluate_generation(dataset, generators)
    values = {name: {key: mean.value for key, mean in row.items()} for name, row in report.figures.items()}
    best = {"valid": 1, "made_up_steps": 0, "made_up_tables": 0, "made_up_fields": 0, "trigger_match": 1}
    assert values["copy"] == {**best, "bag_of_steps": 1, "order_similarity": 1, "fields_given_table": 1}
    assert values["liar"]["made_up_steps"] == 1
    assert values["liar"]["bag_of_steps"] == values["liar"]["trigger_match"] == 0
    assert (values["mute"]["valid"], values["mute"]["made_up_steps"]) == (0, None)
    flows = len(list(dataset.flows()))
    assert report.figures["mute"]["made_up_steps"].flows == 0
    assert report.figures["mute"]["bag_of_steps"].flows == flows == len(report.flows["mute"])
    assert report.flows["mute"][0].error == "no YAML"
    assert report.flows["liar"][0].changes == ("nothing",)


def test_a_report_comes_back_from_json_and_is_a_table(dataset):
    report = evaluate_generation(dataset, [Answers("copy", copy), Answers("mute", lambda _: Generated(None))])
    assert GenerationReport.model_validate_json(report.model_dump_json()) == report
    head, _, *rows = report.to_markdown().splitlines()
    assert head.startswith("| generator | flows | valid | made-up steps |")
    assert [row.split(" | ")[0] for row in rows] == ["| copy", "| mute"]
    assert " |  | " in rows[1]  # what nothing is known of is blank, not 0


def test_the_rules_make_nothing_up(dataset):
    report = evaluate_generation(dataset, rule_generators(WordEncoder(), ["lexical", "hybrid"]))
    assert list(report.figures) == ["lexical", "hybrid"]
    for name, row in report.figures.items():
        assert row["valid"].value == 1
        assert row["made_up_steps"].value == 0
        assert row["bag_of_steps"].value > 0
        for made in report.flows[name]:
            assert Flow.from_yaml(made.flow).requirement == made.requirement


def test_what_generators_keep_open_is_let_go_of(dataset):
    generators = rule_generators(WordEncoder(), ["hybrid"])
    evaluate_generation(dataset, generators)
    assert generators[0].retrieval.workbench._indexes == {}

    class Breaking(Answers):
        released = 0

        def release(self):
            self.released += 1

    def fail(expected):
        raise LLMError("no network")

    breaking = Breaking("x", fail)
    with pytest.raises(LLMError):
        evaluate_generation(dataset, [breaking])
    assert breaking.released == 1


def test_a_sample_is_the_same_each_time(dataset):
    names = [[made.name for made in evaluate_generation(dataset, [Answers("x", copy)], sample=1).flows["x"]] for _ in range(2)]
    assert names[0] == names[1]
    assert len(names[0]) == 1


def test_what_cannot_be_measured(dataset):
    with pytest.raises(ParameterError, match="unique"):
        evaluate_generation(dataset, [Answers("x", copy), Answers("x", copy)])
    with pytest.raises(ParameterError, match="no flow"):
        evaluate_generation(Dataset(dataset.catalog, name="bare"), [Answers("x", copy)])
