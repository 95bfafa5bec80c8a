import json

import pytest
from langchain_core.language_models import FakeListChatModel

from multiretriever.datasets import Dataset
from multiretriever.training.pairs import read_pairs
from small_dataset import write_dataset


@pytest.fixture
def folder(tmp_path):
    return write_dataset(tmp_path / "small")


@pytest.fixture
def llm(monkeypatch):
    """A chat model behind every name, and the number of its answers so far."""
    answers = ['{"queries": ["something that is of some help"]}']
    model = FakeListChatModel(responses=answers)
    monkeypatch.setattr("multiretriever.langchain.init_model", lambda name: model)
    return model


def test_templates(plainly, folder, tmp_path):
    output = tmp_path / "out"
    result = plainly("write-queries", folder, "-o", output, "--per-element", "1", "-t", "step", "-t", "field", "--kind", "free")
    assert result.exit_code == 0, result.stderr
    found = list(Dataset.from_path(output).given())
    assert f"{len(found):,} queries in {output}" in result.stderr
    assert {(item.element_type, item.kind) for item in found} == {("step", "free"), ("field", "free")}
    assert "ELEMENT TYPE  KIND  QUERIES" in result.stdout
    made = plainly("pairs", output, "-o", tmp_path / "pairs.jsonl", "--quiet")
    assert made.exit_code == 0, made.stderr
    assert {pair.query_id for pair in read_pairs(tmp_path / "pairs.jsonl") if pair.kind == "free"} == {item.id for item in found}


def test_a_chat_model_with_estimate_first(plainly, folder, tmp_path, llm):
    output = tmp_path / "out"
    options = ("write-queries", folder, "-o", output, "--llm", "any:model", "--kind", "refine", "-t", "catalog_item", "--json")
    expected = json.loads(plainly(*options, "--estimate", "--price-in", "2", "--price-out", "8").stdout)
    assert (expected["calls"], expected["answers_held"], expected["output_tokens"]) == (3, 0, 150)
    assert expected["cost"] == round((expected["prompt_tokens"] * 2 + 150 * 8) / 1e6, 4) > 0
    assert not output.exists()
    result = plainly(*options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["by_kind"] == [{"element_type": "catalog_item", "kind": "refine", "queries": 3}]
    lines = [json.loads(line) for line in (output / "queries.jsonl").read_text().splitlines()]
    assert {(line["writer"], line["kind"]) for line in lines} == {("any:model", "refine")}
    # Again: nothing is asked, the same is written.
    assert json.loads(plainly(*options, "--dry-run").stdout)["calls"] == 0
    assert plainly(*options).exit_code == 0
    assert len((output / "answers.jsonl").read_text().splitlines()) == 3


def test_few_shot_and_own_prompts(plainly, folder, tmp_path, llm):
    options = ("write-queries", folder, "-t", "step", "--llm", "any:model", "--quiet")
    shown = plainly(*options, "-o", tmp_path / "a", "--examples", folder / "queries.jsonl", "--kind", "few_shot")
    assert shown.exit_code == 0, shown.stderr
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "complaint.md").write_text("Complain.")
    own = plainly(*options, "-o", tmp_path / "b", "--prompts", tmp_path / "prompts")
    assert own.exit_code == 0, own.stderr
    assert {item.kind for item in Dataset.from_path(tmp_path / "b").given()} == {"complaint"}


def test_bad_answers_are_told(plainly, folder, tmp_path, llm):
    llm.responses = ["I would rather not."]
    result = plainly("write-queries", folder, "-o", tmp_path / "out", "--llm", "any:model", "--kind", "title", "--trials", "1")
    assert result.exit_code == 0, result.stderr
    assert "warning: no good answer: step core.record_created, title: it holds no list of queries" in result.stderr
    assert "more; all answers are in" in result.stderr
    assert "0 queries in" in result.stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--estimate",), 2, "for a chat model only: --estimate"),
        (("--kind", "refine"), 2, "does not write the kinds refine"),
        (("--element-type", "thing"), 2, "unknown element type 'thing'"),
        (("--per-element", "0"), 2, "per_element"),
        (("--llm", "nonsense"), 1, "cannot be set up"),
        (("--output", "."), 2, "holds something else"),
    ],
)
def test_wrong_options(plainly, folder, options, code, message):
    result = plainly("write-queries", folder, *options)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
