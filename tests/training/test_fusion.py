"""Fusing the weights of two checkpoints. (Real ones are fused in tests/cli.)"""

import json
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from multiretriever.core.encoders import load_encoder
from multiretriever.core.encoders.loading import save_fused
from multiretriever.core.errors import EncoderError, EncoderNotFoundError, ParameterError
from multiretriever.training.export.card import history_of
from multiretriever.training.fusion import fuse_weights

TEXTS = ["reset a password", "who approves the invoice", "x"]


def vectors(folder):
    return load_encoder(folder).encode_documents(TEXTS)


def test_weights_lie_between(base, tuned, tmp_path):
    fused = fuse_weights(base, tuned, tmp_path / "fused", 0.25)
    model = {name: load_file(folder / "model.safetensors") for name, folder in (("b", base), ("t", tuned), ("f", fused))}
    shared = [name for name in model["f"] if name in model["b"]]
    assert len(shared) > 30
    for name in shared:
        expected = 0.75 * model["b"][name].numpy() + 0.25 * model["t"][name].numpy()
        np.testing.assert_allclose(model["f"][name].numpy(), expected, atol=1e-6, err_msg=name)
    facts = json.loads((fused / "fusion.json").read_text())
    assert (facts["tuned_share"], facts["base"]) == (0.25, "tiny")


def test_the_ends_are_the_two_and_the_rest_is_the_tuned_ones(base, tuned, tmp_path):
    output = tmp_path / "out" / "fused"
    ends = []
    for share in (0, 1):  # The second one takes the place of the first.
        fuse_weights(base, tuned, output, share)
        ends.append(vectors(output))
    assert np.abs(ends[0] - vectors(base)).max() < 1e-5
    assert np.abs(ends[1] - vectors(tuned)).max() < 1e-5
    assert np.abs(ends[0] - ends[1]).max() > 1e-3
    assert (output / "instructions.yaml").read_bytes() == (tuned / "instructions.yaml").read_bytes()
    assert json.loads((output / "config_sentence_transformers.json").read_text())["prompts"]["query"] == "find: "
    assert [item.name for item in output.parent.iterdir()] == ["fused"]


def trained(tuned, folder, steps):
    """A copy of a checkpoint with what a run leaves beside its weights."""
    shutil.copytree(tuned, folder)
    (folder / "training.json").write_text(json.dumps({"base": "the-base", "steps": steps}))
    (folder / "README.md").write_text(f"# {folder.name}\n\nTuned.\n\n## Data\n\nD\n\n## Recipe\n\n{steps} steps\n")
    return folder


def test_the_card_tells_of_both_runs_also_when_it_is_fused_again(base, tuned, tmp_path):
    parts = [trained(tuned, tmp_path / name, steps) for name, steps in (("even", 40), ("leaning", 60))]
    fused = fuse_weights(*parts, tmp_path / "mean", 0.25)
    history = history_of(fused)
    assert history.base == "the-base"
    assert "0.25 of the weights of leaning, and 0.75 of those of even." in history.text
    for name, steps in (("even", 40), ("leaning", 60)):
        assert f"\n## {name}, tuned from the-base\n\n### Data\n\nD\n\n### Recipe\n\n{steps} steps\n" in history.text
    again = history_of(fuse_weights(base, fused, tmp_path / "again", 0.8))
    assert again.base == "the-base"
    assert "\n## mean, tuned from the-base\n\n### Weights\n\n0.25 of" in again.text
    assert "\n#### Recipe\n\n60 steps\n" in again.text


def test_of_encoders_of_which_nothing_is_known_nothing_is_told(base, tuned, tmp_path):
    fused = fuse_weights(base, tuned, tmp_path / "fused")
    assert "0.35 of the weights of tuned" in (fused / "README.md").read_text()
    assert history_of(fused) is None
    assert history_of(tuned) is None
    folder = trained(tuned, tmp_path / "odd", 1)
    for content in ("{", "[]", "{}", '{"base": null}'):
        (folder / "training.json").write_text(content)
        assert history_of(folder) is None


def test_another_architecture_is_refused(base, tuned, tmp_path):
    model = SentenceTransformer(str(base), device="cpu", local_files_only=True)
    del model[0].auto_model.encoder.layer[1]
    model[0].auto_model.config.num_hidden_layers = 1
    model.save_pretrained(str(tmp_path / "short"))
    with pytest.raises(EncoderError, match="num_hidden_layers of Transformer is 1 and 2"):
        fuse_weights(tmp_path / "short", tuned, tmp_path / "fused")
    assert not (tmp_path / "fused").exists()


def test_another_vocabulary_is_refused(base, tuned, tmp_path):
    shutil.copytree(base, tmp_path / "other")
    path = tmp_path / "other" / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["password"], vocabulary["printer"] = vocabulary["printer"], vocabulary["password"]
    path.write_text(json.dumps(content))
    with pytest.raises(EncoderError, match="vocabularies"):
        fuse_weights(tmp_path / "other", tuned, tmp_path / "fused")


def test_wrong_arguments(base, tuned, tmp_path):
    with pytest.raises(ParameterError, match="from 0 to 1"):
        fuse_weights(base, tuned, tmp_path / "fused", 1.5)
    with pytest.raises(EncoderNotFoundError, match="no checkpoint"):
        fuse_weights(base, tmp_path / "gone", tmp_path / "fused")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(ParameterError, match="something else"):
        fuse_weights(base, tuned, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_folder_is_loaded_like_any_encoder(base, tuned, tmp_path):
    folder = save_fused(tmp_path / "fused", base, tuned, 0.5)
    assert not json.loads((folder / "fused.json").read_text())["tuned"].startswith("/")
    fused = load_encoder(folder)
    vector = load_encoder(base).encode_documents(["a printer"]) + load_encoder(tuned).encode_documents(["a printer"])
    np.testing.assert_allclose(fused.encode_documents(["a printer"]), vector / np.linalg.norm(vector), atol=1e-5)
    assert fused.name == "fused"
    assert fused.instructions.templates[0].id == load_encoder(tuned).instructions.templates[0].id
