import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from checkpoints import digests, make_checkpoint  # noqa: E402
from multiretriever.core.encoders import OnnxEncoder  # noqa: E402
from multiretriever.core.errors import EncoderError, EncoderNotFoundError, ParameterError  # noqa: E402
from multiretriever.training import row_files  # noqa: E402
from multiretriever.training.export import encoder_folder  # noqa: E402
from multiretriever.training.export.__main__ import main  # noqa: E402
from multiretriever.training.export.checkpoint import read_checkpoint  # noqa: E402
from multiretriever.training.export.encoder_folder import export_onnx  # noqa: E402
from multiretriever.training.export.onnx_graph import reference_encode  # noqa: E402
from multiretriever.training.export.quantization import round_blocks  # noqa: E402
from multiretriever.training.export.restore import find_base, restore_checkpoint  # noqa: E402

TEXTS = ["create record", "send the email of a user in slack channel", "incident", "approve the request " * 30, ""]


def add_modules(folder, pooling, prompts=None):
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 24, "do_lower_case": False}))
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts or {}}))
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    return export_onnx(checkpoint, tmp_path_factory.mktemp("out") / "tiny")


def test_vectors_are_those_of_torch(checkpoint, exported):
    due = reference_encode(read_checkpoint(checkpoint))(TEXTS)
    given = OnnxEncoder(exported.folder).encode_documents(TEXTS)
    assert given.shape == (len(TEXTS), 32)
    assert np.allclose(np.linalg.norm(given, axis=1), 1, atol=1e-5)
    assert (due * given).sum(axis=1).min() > 0.99


def test_padding_changes_nothing(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported.folder / "model.onnx"))
    assert {item.name: (item.type, item.shape) for item in session.get_inputs()} == {
        "input_ids": ("tensor(int64)", ["batch", "tokens"]),
        "attention_mask": ("tensor(int64)", ["batch", "tokens"]),
    }
    assert [(item.name, item.type, item.shape) for item in session.get_outputs()] == [
        ("embedding", "tensor(float)", ["batch", 32])
    ]
    ids = np.array([[2, 5, 6, 3]])
    bare = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]
    for filler in (0, 7):
        padded = np.pad(ids, ((0, 0), (0, 9)), constant_values=filler)
        mask = (np.arange(13) < 4).astype(np.int64)[None]
        with_other = session.run(
            None,
            {"input_ids": np.vstack([padded, padded[:, ::-1]]), "attention_mask": np.vstack([mask, np.ones_like(mask)])},
        )[0]
        assert np.allclose(with_other[:1], bare, atol=1e-5)


def test_two_exports_have_the_same_bytes_and_no_path(checkpoint, exported, tmp_path):
    again = export_onnx(checkpoint, tmp_path / "tiny")
    assert digests(again.folder) == digests(exported.folder)
    content = (again.folder / "model.onnx").read_bytes()
    for trace in (b"site-packages", b".py", b"/home", b"/tmp", b"File ", str(checkpoint).encode()):
        assert trace not in content


def test_files_and_description(checkpoint, exported):
    assert sorted(digests(exported.folder)) == ["README.md", "encoder.json", "model.onnx", "tokenizer.json"]
    config = json.loads((exported.folder / "encoder.json").read_text())
    assert list(config) == [
        "format", "name", "dimension", "pooling", "normalize", "max_length", "document_prompt", "instructions",
        "model_sha256", "tokenizer_sha256", "base", "quantization", "checkpoint",
    ]  # fmt: skip
    assert (config["name"], config["dimension"], config["pooling"], config["max_length"]) == ("tiny", 32, "mean", 64)
    assert config["base"]["name"] == checkpoint.name
    assert config["base"]["package"] is None
    assert config["quantization"]["compute"] == "int8"
    tokenizer = json.loads((exported.folder / "tokenizer.json").read_text())
    assert tokenizer["padding"] is None
    assert tokenizer["truncation"] is None
    assert str(checkpoint.parent) not in (exported.folder / "README.md").read_text()


def test_weights_are_eight_bits_in_one_file(exported):
    model = onnx.load(exported.folder / "model.onnx", load_external_data=False)
    kinds = {item.name: item.data_type for item in model.graph.initializer if len(item.dims) > 1}
    floats = [name for name, kind in kinds.items() if kind == onnx.TensorProto.FLOAT and "scale" not in name]
    assert all("position_embeddings" in name or "token_type_embeddings" in name for name in floats)
    # The word embeddings, and the blocks of six products in each of two layers.
    assert sum(kind == onnx.TensorProto.INT8 for kind in kinds.values()) == 1
    assert sum(node.op_type == "MatMulNBits" for node in model.graph.node) == 2 * 6
    assert {item.domain for item in model.opset_import} == {"", "com.microsoft"}


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": ["cls"]}, "cls"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
    ],
)
def test_forms_of_pooling(tmp_path, config, pooling):
    assert read_checkpoint(add_modules(make_checkpoint(tmp_path), config)).pooling == pooling


def test_layout_of_sentence_transformers(tmp_path):
    folder = add_modules(make_checkpoint(tmp_path), {"pooling_mode": "cls"}, {"document": "doc: "})
    (folder / "instructions.yaml").write_text("- {id: any, instruction: Represent this}\n")
    made = export_onnx(folder, tmp_path / "out")
    assert (made.config["pooling"], made.config["max_length"], made.config["document_prompt"]) == ("cls", 24, "doc: ")
    assert made.config["instructions"] == "instructions.yaml"
    assert (made.folder / "instructions.yaml").read_text() == (folder / "instructions.yaml").read_text()
    due = reference_encode(read_checkpoint(folder))([f"doc: {text}" for text in TEXTS])
    assert (due * OnnxEncoder(made.folder).encode_documents(TEXTS)).sum(axis=1).min() > 0.99


@pytest.mark.parametrize("kind", ["roberta", "distilbert"])
def test_other_families(tmp_path, kind):
    folder = make_checkpoint(tmp_path, kind)
    made = export_onnx(folder, tmp_path / "out", max_length=40)
    due = reference_encode(read_checkpoint(folder, max_length=40))(TEXTS)
    assert (due * OnnxEncoder(made.folder).encode_documents(TEXTS)).sum(axis=1).min() > 0.99
    again = restore_checkpoint(made.folder, tmp_path / "again")  # compares its vectors with the export's
    assert json.loads((again / "config.json").read_text())["model_type"] == kind


@pytest.mark.parametrize("spec", ["", "  ", "no/such/folder", "sentence-transformers/all-MiniLM-L6-v2"])
def test_mistyped_path_never_tries_a_hub(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket", None)
    with pytest.raises(EncoderNotFoundError):
        export_onnx(spec, tmp_path / "out")
    assert main(["--base", spec, "--output", "out"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_folder_without_config(tmp_path):
    with pytest.raises(EncoderNotFoundError, match=r"config\.json"):
        find_base(tmp_path)


def test_block_size_is_checked(checkpoint, tmp_path):
    with pytest.raises(ParameterError, match=r"block_size of .*, got 0"):
        export_onnx(checkpoint, tmp_path / "out", block_size=0)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tokenizer.json", None, "tokenizer"),
        ("tokenizer.json", "[]", "tokenizer"),
        ("model.safetensors", None, "safetensors"),
        ("model.safetensors", "damaged", "cannot be loaded"),
        ("modules.json", "{", "modules"),
        ("modules.json", '[{"type": "a.Dense", "path": ""}]', "Dense"),
        ("modules.json", '[{"type": "a.Transformer", "path": ""}]', "no Pooling"),
        ("1_Pooling/config.json", '{"pooling_mode": "max"}', "max"),
        ("1_Pooling/config.json", '{"pooling_mode": ["mean", "cls"]}', "cls"),
        ("sentence_bert_config.json", '{"do_lower_case": true}', "Lowercase"),
    ],
)
def test_checkpoints_that_cannot_be_exported(tmp_path, file, content, message):
    folder = add_modules(make_checkpoint(tmp_path), {"pooling_mode": "mean"})
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    with pytest.raises(EncoderError, match=message):
        export_onnx(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_window_longer_than_the_positions(checkpoint, tmp_path):
    with pytest.raises(EncoderError, match="max_length is 65"):
        export_onnx(checkpoint, tmp_path / "out", max_length=65)


def test_other_folders_are_not_replaced(checkpoint, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(EncoderError, match="something else"):
        export_onnx(checkpoint, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def old_folder(path):
    path.mkdir()
    (path / "encoder.json").write_text("{}")
    (path / "model.onnx").write_bytes(b"old")
    return digests(path)


def test_failure_leaves_the_old_folder(checkpoint, tmp_path, monkeypatch):
    before = old_folder(tmp_path / "out")

    def fail(_base, _checkpoint, folder, *_options):
        (folder / "model.onnx").write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(encoder_folder, "write_encoder", fail)
    with pytest.raises(EncoderError, match="no space left"):
        export_onnx(checkpoint, tmp_path / "out")
    assert digests(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_failed_swap_puts_the_old_folder_back(tmp_path, monkeypatch):
    before = old_folder(tmp_path / "out")
    real = os.replace

    def fail(source, target):
        if Path(source).name == "new":
            raise OSError("refused")
        real(source, target)

    (tmp_path / "new").mkdir()
    monkeypatch.setattr(row_files.os, "replace", fail)
    with pytest.raises(OSError, match="refused"):
        row_files.replace_folder(tmp_path / "new", tmp_path / "out")
    assert digests(tmp_path / "out") == before


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the platform has no SIGKILL")
def test_kill_leaves_the_old_folder(checkpoint, tmp_path):
    before = old_folder(tmp_path / "out")
    code = (
        "import os, signal, sys\n"
        "from multiretriever.training.export import encoder_folder\n"
        "def die(base, checkpoint, folder, *options):\n"
        "    (folder / 'model.onnx').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "encoder_folder.write_encoder = die\n"
        "encoder_folder.export_onnx(sys.argv[1], sys.argv[2])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(checkpoint), str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert digests(tmp_path / "out") == before
    export_onnx(checkpoint, tmp_path / "out")
    assert OnnxEncoder(tmp_path / "out").dimension == 32
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_importing_the_portion_loads_no_framework():
    code = "import sys, multiretriever.training, multiretriever.training.export; print({'torch', 'onnx'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_blocks_are_rounded_to_half_a_step():
    weights = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    weights[:, 2] = 0
    values, scales = round_blocks(weights, 16)
    assert (values.shape, scales.shape) == ((4, 16, 6), (4, 1, 6))
    assert (np.abs((values * scales).reshape(64, 6) - weights).reshape(4, 16, 6) <= scales / 2 + 1e-7).all()
