import json

import pytest

from encoders import WordEncoder
from small_dataset import write_dataset


@pytest.fixture(autouse=True)
def dataset(workplace, monkeypatch):
    monkeypatch.setattr("multiretriever.core.evaluation.workbench.load_encoder", lambda spec=None: WordEncoder(spec or "shipped"))
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
