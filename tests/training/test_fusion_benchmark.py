"""The benchmark that measures shares of a tuned encoder fused with its base, on tiny datasets."""

import importlib.util
import json
from pathlib import Path

import pytest

from encoders import WordEncoder
from small_dataset import write_dataset

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "fusion_sweep.py"


@pytest.fixture(scope="module")
def measuring():
    if not BENCHMARK.is_file():
        pytest.skip("benchmarks/ is not part of this copy of the project")
    spec = importlib.util.spec_from_file_location("fusion_sweep", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def options(tmp_path):
    inside, outside = write_dataset(tmp_path / "inside"), write_dataset(tmp_path / "outside")
    return ["--in-domain", str(inside), "--out-of-domain", str(outside), "--k", "1", "--output", str(tmp_path / "out")]


class Counting(WordEncoder):
    """Keeps the texts that it was asked to encode."""

    def __init__(self, name, letters=None):
        super().__init__(name, 64)
        self.seen, self._letters = [], letters

    def _encode(self, texts):
        self.seen += texts
        return super()._encode([text[: self._letters] for text in texts])


def test_representations_encode_each_text_once(measuring, options, tmp_path, monkeypatch):
    encoders = {"base": Counting("base"), "tuned": Counting("tuned", letters=4)}
    monkeypatch.setattr(measuring, "load", encoders.get)
    measuring.main(["base", "tuned", "--shares", "1,0,0.5,0.5", "--form", "representations", *options])
    found = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert [point["share"] for point in found["points"]] == [0, 0.5, 1]
    # A text that is both a document and a query is encoded as each of them.
    for encoder in encoders.values():
        assert max(encoder.seen.count(text) for text in encoder.seen) <= 2
    recall = [point["recall"]["inside"]["value"] for point in found["points"]]
    assert recall[0] != recall[2]


def test_weights_with_the_base_alone(measuring, base, tuned, options, tmp_path):
    measuring.main([str(base), str(tuned), "--shares", "0.35", "--sample", "2", *options])
    found = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert (found["form"], found["alone"]["share"], [point["share"] for point in found["points"]]) == ("weights", None, [0.35])
    text = (tmp_path / "out" / "sweep.md").read_text()
    assert "| share | in domain | out of domain | inside | outside |" in text
    assert "| base alone | " in text
    assert "| 0.35 | " in text
    assert (tmp_path / "out" / "sweep.png").stat().st_size > 10_000
