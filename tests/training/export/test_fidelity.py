"""How faithful an exported encoder is to its original."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from checkpoints import WORDS, make_checkpoint
from multiretriever.core.errors import CatalogError, DatasetError
from multiretriever.training.export.__main__ import main
from multiretriever.training.export.fidelity import measure_fidelity


def write_dataset(folder):
    (folder / "catalog").mkdir(parents=True)
    rows = [{"id": word, "element_type": "step", "scope": "core", "name": word, "label": word} for word in WORDS]
    queries = [{"id": word, "element_type": "step", "query": f"{word} the", "context": {}, "relevant": [word]} for word in WORDS]
    queries.append({"id": "lost", "element_type": "step", "query": "gone", "context": {}, "relevant": ["gone"]})
    (folder / "catalog" / "step.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (folder / "dataset.yaml").write_text("licence: MIT\n")
    return folder


def test_fidelity_of_an_encoder_to_itself_and_to_noise(tmp_path):
    data = write_dataset(tmp_path / "tiny-dev")

    def noise(seed):
        return lambda texts: unit(np.random.default_rng(seed).normal(size=(len(texts), 16)))

    same = measure_fidelity(noise(0), noise(0), [data])
    assert same.cosine_min == pytest.approx(1)
    assert (same.overlap, same.losses, same.within_bounds) == (1, {"tiny-dev": 0}, True)
    assert same.types[0].queries == len(WORDS)
    other = measure_fidelity(noise(0), noise(1), [data])
    assert other.cosine_mean < 0.5
    assert not other.within_bounds
    item = other.types[0]
    assert item.loss == pytest.approx(100 * (item.recall_reference - item.recall_candidate))


def unit(values):
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_fidelity_from_the_command_line(tmp_path, monkeypatch):
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    data = write_dataset(tmp_path / "tiny-dev")
    monkeypatch.chdir(tmp_path)
    code = main(["--base", str(checkpoint), "--output", "models/tiny", "--fidelity", str(data), "--fidelity-output", "r/f.json"])
    report = json.loads(Path("r/f.json").read_text())
    assert code == (0 if report["within_bounds"] else 1)
    assert report["types"][0]["dataset"] == "tiny-dev"
    assert report["encoder"]["model_sha256"] == hashlib.sha256(Path("models/tiny/model.onnx").read_bytes()).hexdigest()
    assert str(tmp_path) not in Path("r/f.json").read_text()
    card = Path("models/tiny/README.md").read_text()
    assert "tiny-dev | step" in card
    assert "--output models/tiny" in card


def test_dataset_that_is_not_there(tmp_path):
    with pytest.raises(CatalogError, match="nowhere"):
        measure_fidelity(lambda texts: None, lambda texts: None, [tmp_path / "nowhere"])


def test_dataset_whose_queries_cannot_be_read(tmp_path):
    (write_dataset(tmp_path) / "queries.jsonl").write_text("{")
    with pytest.raises(DatasetError, match=r"queries\.jsonl"):
        measure_fidelity(lambda texts: None, lambda texts: None, [tmp_path])


def test_dataset_without_queries(tmp_path):
    (write_dataset(tmp_path) / "queries.jsonl").write_text("")
    with pytest.raises(CatalogError, match="nothing can be measured"):
        measure_fidelity(lambda texts: None, lambda texts: None, [tmp_path])
