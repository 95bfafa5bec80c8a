"""Sweeps over shares on tiny datasets."""

import json

import pytest

from encoders import WordEncoder
from multiretriever.core.errors import ParameterError
from multiretriever.datasets import Dataset
from multiretriever.evaluation import evaluate, retriever_systems
from multiretriever.training.fusion_sweep import FusionSweep, plot_sweep, sweep_fusion, sweep_markdown
from small_dataset import write_dataset


@pytest.fixture
def sides(tmp_path):
    inside = Dataset.from_path(write_dataset(tmp_path / "inside"))
    return [inside], [Dataset.from_path(write_dataset(tmp_path / "outside"), name="outside")]


class Counting(WordEncoder):
    """Tells how often each text was encoded."""

    def __init__(self, name, dimension=64):
        super().__init__(name, dimension)
        self.seen = []

    def _encode(self, texts):
        self.seen += texts
        return super()._encode(texts)


def test_representations_encode_each_text_once(sides, tmp_path):
    base, tuned = Counting("base"), Counting("tuned")
    tuned._encode = lambda texts: Counting._encode(tuned, [text[:4] for text in texts])  # Another encoder: it reads four letters.
    found = sweep_fusion(base, tuned, [1, 0, 0.5, 0.5], *sides, k=1, output=tmp_path / "out")
    assert [point.share for point in found.points] == [0, 0.5, 1]
    # A text that is both a document and a query is encoded as each of them.
    assert max(base.seen.count(text) for text in base.seen) <= 2
    assert FusionSweep.load(tmp_path / "out" / "sweep.json") == found
    for point, encoder in ((found.points[0], base), (found.points[2], tuned)):
        alone = evaluate(sides[0], retriever_systems(encoder, ["dense"]), k=1).table("dataset").rows[0].cells["dense"]
        assert point.recall["inside"].value == pytest.approx(alone.value, abs=1e-6)
    assert found.points[0].recall["inside"].value != found.points[2].recall["inside"].value


def test_it_goes_on_where_it_stopped(sides, tmp_path):
    sweep_fusion(WordEncoder("a"), WordEncoder("b", 64), [0, 1], *sides, output=tmp_path)
    again = Counting("a")
    again.fingerprint = WordEncoder("a").fingerprint
    found = sweep_fusion(again, WordEncoder("b", 64), [0, 1], *sides, output=tmp_path)
    assert again.seen == []
    assert [point.share for point in found.points] == [0, 1]
    with pytest.raises(ParameterError, match="other encoders"):
        sweep_fusion(WordEncoder("a"), WordEncoder("c"), [0], *sides, output=tmp_path)


def test_weights_with_the_base_alone(base, tuned, sides, tmp_path):
    found = sweep_fusion(base, tuned, [0.35], *sides, form="weights", sample=4)
    assert (found.form, found.alone.share, [point.share for point in found.points]) == ("weights", None, [0.35])
    text = sweep_markdown(found)
    assert "| share | in domain | out of domain | inside | outside |" in text
    assert "| base alone | " in text
    assert "| 0.35 | " in text
    plot_sweep(found, tmp_path / "plots" / "sweep.png")
    assert (tmp_path / "plots" / "sweep.png").stat().st_size > 10_000


def test_wrong_arguments(sides):
    encoder = WordEncoder()
    for options, message in (
        ({"shares": []}, "at least one"),
        ({"shares": [2]}, "from 0 to 1"),
        ({"form": "logits"}, "logits"),
        ({"mode": "lexical"}, "lexical"),
        ({"out_of_domain": []}, "of others"),
        ({"form": "weights"}, "two checkpoints"),
    ):
        given = {"shares": [0], "in_domain": sides[0], "out_of_domain": sides[1], **options}
        with pytest.raises(ParameterError, match=message):
            sweep_fusion(encoder, encoder, **given)


def test_a_file_that_is_no_sweep(tmp_path):
    (tmp_path / "sweep.json").write_text(json.dumps({"form": "weights"}))
    with pytest.raises(ParameterError, match="holds no sweep"):
        FusionSweep.load(tmp_path / "sweep.json")
    with pytest.raises(ParameterError, match="cannot be read"):
        FusionSweep.load(tmp_path / "gone.json")
