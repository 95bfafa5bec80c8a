import json

import pytest

from encoders import WordEncoder
from small_dataset import write_dataset


@pytest.fixture(autouse=True)
def dataset(workplace, monkeypatch):
    monkeypatch.setattr("multiretriever.evaluation.systems.load_encoder", lambda spec=None: WordEncoder(spec or "shipped"))
    return write_dataset(workplace / "small")


def test_a_table_with_measures_down_and_generators_across(plainly):
    result = plainly("evaluate-generation", "small", "--mode", "lexical", "--mode", "hybrid")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["MEASURE", "LEXICAL", "HYBRID"]
    assert lines[1].split()[:2] == ["valid", "1.000"]
    assert next(line for line in lines if line.startswith("made-up steps")).split()[2] == "0.000"
    assert "bootstrap" in result.stderr


def test_files_and_json(plainly, workplace):
    result = plainly(
        "evaluate-generation", "small", "--encoder", "a=one", "--encoder", "b=two", "--mode", "dense", "--output", "r", "--json"
    )
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)["figures"]
    assert list(figures) == ["a/dense", "b/dense"]
    report = json.loads((workplace / "r" / "generation.json").read_text(encoding="utf-8"))
    assert report["figures"] == figures
    assert {made["name"] for made in report["flows"]["a/dense"]} == {"greet", "chase"}
    assert "| a/dense | 2 |" in (workplace / "r" / "generation.md").read_text(encoding="utf-8")


def test_errors(plainly):
    result = plainly("evaluate-generation", "gone")
    assert result.exit_code != 0
    assert "gone" in result.stderr
    result = plainly("evaluate-generation", "small", "--split", "moon")
    assert result.exit_code != 0
    assert "moon" in result.stderr


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


def test_a_chat_model_alone_and_grounded_side_by_side(plainly, workplace, monkeypatch):
    liar = Liar()
    monkeypatch.setattr("multiretriever.langchain.init_model", lambda name: name)
    monkeypatch.setattr("multiretriever.langchain.chat_with", lambda model: liar)
    command = ["evaluate-generation", "small", "--mode", "hybrid", "--output", "r", "--json"]
    result = plainly(*command, "--llm", "fake:liar")
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)["figures"]
    assert list(figures) == ["hybrid", "fake:liar alone", "fake:liar, hybrid"]
    assert figures["fake:liar alone"]["made_up_steps"]["value"] == 1
    assert figures["fake:liar, hybrid"]["made_up_steps"]["value"] == 0
    report = json.loads((workplace / "r" / "generation.json").read_text(encoding="utf-8"))
    assert "warp.engage" in report["flows"]["fake:liar, hybrid"][0]["changes"][0]

    # The same again asks for nothing, and neither does a replay without the model; both come to the same.
    asked = liar.calls
    assert json.loads(plainly(*command, "--llm", "fake:liar").stdout)["figures"] == figures
    replay = plainly("evaluate-generation", "small", "--mode", "hybrid", "--json", "--transcript", "r/transcript.jsonl")
    assert replay.exit_code == 0, replay.stderr
    assert list(json.loads(replay.stdout)["figures"].values()) == list(figures.values())
    assert liar.calls == asked


def test_what_a_chat_model_needs(plainly):
    result = plainly("evaluate-generation", "small", "--llm", "fake:liar")
    assert result.exit_code != 0
    assert "--transcript FILE" in result.stderr
    result = plainly("evaluate-generation", "small", "--transcript", "gone.jsonl")
    assert result.exit_code != 0
    assert "gone.jsonl" in result.stderr
