"""Measuring what makes flows of the requirements of a dataset."""

import json

import pytest

from encoders import WordEncoder
from examples import load_example
from multiretriever.core import Flow, ParameterError
from multiretriever.core.errors import LLMError
from multiretriever.datasets import Dataset
from small_dataset import write_dataset

script = load_example("flow_generation/measure.py")
Generated, measure = script.Generated, script.measure


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return Dataset.from_path(write_dataset(tmp_path_factory.mktemp("data") / "small"))


def copy(_, expected):
    return Generated(Flow.model_validate({"requirement": expected.requirement, **expected.to_dict()}))


def liar(_, expected):
    steps = [{"definition": "core.conjure", "inputs": {}} for _ in expected.steps]
    return Generated(Flow.model_validate({"steps": steps, "trigger": {"definition": "core.whim"}}), changes=("nothing",))


def mute(*_):
    return Generated(None, error="no YAML")


def test_the_right_flow_a_hallucinated_one_and_none(dataset):
    report = measure([dataset], {"copy": copy, "liar": liar, "mute": mute})
    values = {name: {key: mean.value for key, mean in row.items()} for name, row in report.figures.items()}
    best = {"valid": 1, "hallucinated_steps": 0, "hallucinated_tables": 0, "hallucinated_fields": 0, "trigger_match": 1}
    assert values["copy"] == {**best, "bag_of_steps": 1, "order_similarity": 1, "fields_given_table": 1}
    assert values["liar"]["hallucinated_steps"] == 1
    assert values["liar"]["bag_of_steps"] == values["liar"]["trigger_match"] == 0
    assert (values["mute"]["valid"], values["mute"]["hallucinated_steps"]) == (0, None)
    flows = len(list(dataset.flows()))
    assert report.figures["mute"]["hallucinated_steps"].flows == 0
    assert report.figures["mute"]["bag_of_steps"].flows == flows == len(report.flows["mute"])
    assert report.flows["mute"][0].error == "no YAML"
    assert report.flows["liar"][0].changes == ("nothing",)


def test_a_report_comes_back_from_json_and_is_a_table(dataset):
    report = measure([dataset], {"copy": copy, "mute": mute})
    assert script.GenerationReport.model_validate_json(report.model_dump_json()) == report
    head, _, flows, valid, steps, *_ = report.to_markdown().splitlines()
    assert head == "| measure | copy | mute |"
    assert flows == "| flows | 2 | 2 |"
    assert valid.startswith("| valid | 1.000 ")
    assert steps.startswith("| hallucinated steps | 0.000 ")
    assert steps.endswith(" |  |")  # what nothing is known of is blank, not 0


def test_drafts_by_retrieval_have_no_finding(dataset):
    with script.generators({"words": WordEncoder()}, ["lexical", "hybrid"]) as made:
        report = measure([dataset], made)
    assert list(report.figures) == ["lexical", "hybrid"]
    for name, row in report.figures.items():
        assert row["valid"].value == 1
        assert row["hallucinated_steps"].value == 0
        assert row["bag_of_steps"].value > 0
        for flow in report.flows[name]:
            assert Flow.from_yaml(flow.flow).requirement == flow.requirement


def test_indexes_are_closed_whatever_happens(dataset):
    retrievers = script.Retrievers({"words": WordEncoder()})
    index = retrievers.of(dataset, "words", "hybrid").index
    assert retrievers.of(dataset, "words", "dense").index is index
    other = retrievers.of(Dataset(dataset.catalog, name="other"), "words", "dense").index
    assert other is not index

    def fail(*_):
        raise LLMError("no network")

    with pytest.raises(LLMError), script.generators({"words": WordEncoder()}, ["hybrid"]) as made:
        measure([dataset], {**made, "x": fail})
    retrievers.close()
    with pytest.raises(Exception, match="closed"):
        other.catalog()


def test_a_sample_is_the_same_each_time(dataset):
    names = [[made.name for made in measure([dataset], {"x": copy}, sample=1).flows["x"]] for _ in range(2)]
    assert names[0] == names[1]
    assert len(names[0]) == 1


def test_what_cannot_be_measured(dataset):
    with pytest.raises(ParameterError, match="unique"):
        measure([dataset, dataset], {"x": copy})
    with pytest.raises(ParameterError, match="no flow"):
        measure([Dataset(dataset.catalog, name="bare")], {"x": copy})


@pytest.fixture
def program(tmp_path, monkeypatch, capsys):
    """Runs the script in a folder with the dataset, with a small encoder; returns exit code, output and errors."""
    monkeypatch.setattr(script, "load_encoder", lambda spec=None: WordEncoder(spec or "shipped"))
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "small")

    def run(*arguments):
        code = script.main(["small", *arguments])
        return code, *capsys.readouterr()

    return run


def test_a_table_on_the_terminal(program):
    code, shown, errors = program("--mode", "lexical", "--mode", "hybrid")
    assert code == 0, errors
    lines = shown.splitlines()
    assert lines[0] == "| measure | lexical | hybrid |"
    assert next(line for line in lines if line.startswith("| hallucinated steps")).startswith("| hallucinated steps | 0.000 ")


def test_files(program, tmp_path):
    code, shown, errors = program("--encoder", "a=one", "--encoder", "b=two", "--mode", "dense", "--output", "r")
    assert code == 0, errors
    report = json.loads((tmp_path / "r" / "generation.json").read_text(encoding="utf-8"))
    assert list(report["figures"]) == ["a/dense", "b/dense"]
    assert {made["name"] for made in report["flows"]["a/dense"]} == {"greet", "chase"}
    assert (tmp_path / "r" / "generation.md").read_text(encoding="utf-8") == shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone"], "gone"),
        (["--split", "moon"], "moon"),
        (["--encoder", "a=one", "--encoder", "a=two"], "unique"),
        (["--llm", "fake:liar"], "--transcript FILE"),
        (["--transcript", "gone.jsonl"], "gone.jsonl"),
    ],
)
def test_errors_are_one_line(program, arguments, said):
    code, _, errors = program(*arguments)
    assert code == 1
    assert errors.startswith("error: ")
    assert said in errors


class Liar:
    """Writes one step that there is not, in whatever form it is asked for; counts its calls."""

    calls = 0

    def __call__(self, messages, schema):
        self.calls += 1
        if schema is None:
            return "steps: [{annotation: a, definition: warp.engage}]"
        return (
            '{"trigger": "", "steps": [{"annotation": "greet"}]}'
            if schema.__name__ == "Outline"
            else '{"definition": "warp.engage"}'
        )


def test_a_chat_model_alone_and_grounded_side_by_side(program, tmp_path, monkeypatch):
    liar = Liar()
    monkeypatch.setattr("multiretriever.langchain.init_model", lambda name: name)
    monkeypatch.setattr("multiretriever.langchain.chat_with", lambda model: liar)

    def report(*arguments):
        code, _, errors = program("--mode", "hybrid", "--output", "r", *arguments)
        assert code == 0, errors
        return json.loads((tmp_path / "r" / "generation.json").read_text(encoding="utf-8"))

    first = report("--llm", "fake:liar")
    figures = first["figures"]
    assert list(figures) == ["hybrid", "fake:liar alone", "fake:liar, hybrid"]
    assert figures["fake:liar alone"]["hallucinated_steps"]["value"] == 1
    assert figures["fake:liar, hybrid"]["hallucinated_steps"]["value"] == 0
    assert "warp.engage" in first["flows"]["fake:liar, hybrid"][0]["changes"][0]

    # The same again asks for nothing, and neither does a replay without the model; both come to the same.
    asked = liar.calls
    assert report("--llm", "fake:liar")["figures"] == figures
    assert list(report("--transcript", "r/transcript.jsonl")["figures"].values()) == list(figures.values())
    assert liar.calls == asked
