import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from catalogs import small_catalog
from encoders import FixedEncoder, WordEncoder
from multiretriever.core import (
    EncoderError,
    Index,
    InstructionSet,
    MultiRetriever,
    OnnxEncoder,
    SentenceTransformerEncoder,
    Step,
    element_type,
    load_encoder,
)
from multiretriever.core.encoders import Encoder, Windowed, default_encoder, make_fingerprint, unit_vectors
from multiretriever.core.encoders.loading import DEFAULT_MODEL as SHIPPED
from multiretriever.core.errors import EncoderNotFoundError, QueryTruncatedWarning

WORDS = "create update delete look up record user table incident email send approve the a of in channel".split()


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """No test of this module may try to reach anything."""

    def refuse(*arguments, **_):
        raise AssertionError(f"a connection was tried: {arguments[1:]}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


class TestUnitVectors:
    def test_rows_get_length_one(self):
        vectors = unit_vectors([[3, 4], [0, -2]], 2, 2, "x")
        assert vectors.dtype == np.float32
        assert vectors == pytest.approx(np.array([[0.6, 0.8], [0, -1]]))

    @pytest.mark.parametrize("values", [[], np.empty((0, 3)), np.empty((0, 2))])
    def test_nothing(self, values):
        assert unit_vectors(values, 0, 3, "x").shape == (0, 3)

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ([[1, 2]], r"\(1, 2\)"),
            ([[1, 2, 3], [1, 2, 3]], r"\(2, 3\)"),
            ([1, 2], r"\(2,\)"),
            ([[[1, 2], [1, 2]]], r"\(1, 2, 2\)"),
            (None, "array|shape"),
            ("abc", "not an array"),
            ([[1, 2], [1]], "not an array"),
            ([[1, 2], ["a", "b"]], "not an array"),
            ([[1, 2], [0, 0]], "text 1 of 2"),
            ([[float("nan"), 1], [1, 2]], "text 0 of 2"),
            ([[1, 2], [float("inf"), 1]], "text 1 of 2"),
        ],
    )
    def test_what_is_no_set_of_vectors(self, values, words):
        with pytest.raises(EncoderError, match=words) as caught:
            unit_vectors(values, 2, 2, "mine")
        assert "'mine'" in str(caught.value)


def test_fingerprints_follow_facts():
    assert make_fingerprint({"a": 1, "b": 2}) == make_fingerprint({"b": 2, "a": 1})
    assert make_fingerprint({"a": 1}) != make_fingerprint({"a": "1"})
    assert len(make_fingerprint({})) == 16


def test_any_object_with_the_methods_is_an_encoder():
    encoder = WordEncoder()
    assert isinstance(encoder, Encoder)
    assert isinstance(FixedEncoder({}), Encoder)
    assert not isinstance(encoder, Windowed)
    assert load_encoder(encoder) is encoder


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "  ",
        "/no/such/folder",
        "no-such-folder",
        "all-minilm-l6-v2",
        "sentence-transformers/all-MiniLM-L6-v2",
        Path("none"),
        "hub:",
        "hub: ",
    ],
)
def test_a_mistyped_path_is_told_without_asking_the_network(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EncoderNotFoundError) as caught:
        load_encoder(spec)
    assert str(spec).strip() in str(caught.value)
    with pytest.raises(EncoderNotFoundError):
        Index.open(tmp_path / "index", encoder=spec, create=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spec", [5, object(), ["all-minilm"], WordEncoder, b"x"])
def test_what_is_no_encoder(spec, tmp_path):
    with pytest.raises(EncoderError, match="methods of Encoder"):
        Index.open(tmp_path / "index", encoder=spec, create=True)


def test_a_folder_that_is_no_checkpoint(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(EncoderNotFoundError, match=r"modules\.json"):
        load_encoder(tmp_path)
    with pytest.raises(EncoderNotFoundError):
        load_encoder(tmp_path / "config.json")


def test_code_of_a_repository_needs_a_pinned_commit():
    with pytest.raises(EncoderError, match="revision"):
        SentenceTransformerEncoder("a/b", from_hub=True, trust_remote_code=True)


needs_model = pytest.mark.skipif(not (SHIPPED / "encoder.json").is_file(), reason="the shipped model is not there")


@needs_model
class TestShippedModel:
    def test_it_is_the_default(self):
        encoder = load_encoder(None)
        assert encoder is default_encoder()
        assert isinstance(encoder, OnnxEncoder)
        assert isinstance(encoder, Encoder)
        assert isinstance(encoder, Windowed)
        assert (encoder.name, encoder.dimension, encoder.window) == ("multiretriever-minilm-l6", 384, 254)
        assert encoder.fingerprint == OnnxEncoder(SHIPPED).fingerprint == load_encoder(str(SHIPPED)).fingerprint

    def test_near_texts_are_near(self):
        encoder = default_encoder()
        texts = ["send an email", "mail a message to somebody", "delete a database table"]
        vectors = encoder.encode_documents(texts)
        assert vectors.shape == (3, 384)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
        assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1

    def test_a_batch_is_the_same_as_single_texts(self):
        encoder = default_encoder()
        texts = [f"text {'long ' * (number % 7 * 9)}{number}" for number in range(70)] + ["", "🎉", "\0", "a\nb"]
        batch = encoder.encode_documents(texts)
        alone = np.stack([encoder.encode_documents([text])[0] for text in texts])
        assert (batch * alone).sum(axis=1).min() > 0.99
        assert encoder.encode_queries([]).shape == (0, 384)

    def test_line_ends_count_for_nothing_and_case_neither(self):
        one, two = default_encoder().encode_queries(["Send a Mail", "send a mail"])
        assert one @ two > 0.999

    def test_text_past_the_window_is_not_read_and_the_query_is_cut_before(self):
        encoder = default_encoder()
        long = "incident " * 300
        one, two = encoder.encode_documents([long, long + "banana"])
        assert one @ two > 0.9999
        assert len(encoder.token_starts(long)) == 300
        with Index.from_catalog(small_catalog(), encoder=encoder) as index:
            with pytest.warns(QueryTruncatedWarning, match=r"30\d tokens"):
                MultiRetriever(index).retrieve(long + "banana", "step")

    def test_offsets(self):
        assert default_encoder().token_starts("send a  mail") == [0, 5, 8]

    def test_it_retrieves(self):
        with Index.from_catalog(small_catalog(), encoder=default_encoder()) as index:
            retriever = MultiRetriever(index)
            for mode in ("dense", "hybrid"):
                assert retriever.retrieve("tell the team on chat", "step", k=1, mode=mode)[0].id == "slack.post_message"
                assert retriever.retrieve("notebook computer", "catalog_item", k=1, mode=mode)[0].id == "it.new_laptop"

    @pytest.mark.parametrize(
        ("name", "content", "error"),
        [
            ("encoder.json", b"{", EncoderError),
            ("encoder.json", b'{"format": 1}', EncoderError),
            ("encoder.json", None, EncoderNotFoundError),
            ("model.onnx", b"nonsense", EncoderError),
            ("model.onnx", b"", EncoderError),
            ("model.onnx", None, EncoderNotFoundError),
            ("tokenizer.json", b"{}", EncoderError),
            ("tokenizer.json", None, EncoderNotFoundError),
        ],
    )
    def test_a_damaged_folder(self, tmp_path, name, content, error):
        folder = Path(shutil.copytree(SHIPPED, tmp_path / "model"))
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
        with pytest.raises(error) as caught:
            OnnxEncoder(folder)
        assert str(folder) in str(caught.value)

    def test_what_decides_vectors_decides_the_fingerprint(self, tmp_path):
        folder = Path(shutil.copytree(SHIPPED, tmp_path / "model"))
        config = json.loads((folder / "encoder.json").read_text())
        seen = {OnnxEncoder(folder).fingerprint}
        for change in ({"max_length": 128}, {"document_prompt": "passage: "}, {"name": "renamed"}):
            (folder / "encoder.json").write_text(json.dumps({**config, **change}))
            seen.add(OnnxEncoder(folder).fingerprint)
        assert len(seen) == 3  # the name alone decides nothing

    def test_instructions_travel_in_the_folder(self, tmp_path):
        folder = Path(shutil.copytree(SHIPPED, tmp_path / "model"))
        config = json.loads((folder / "encoder.json").read_text())
        (folder / "encoder.json").write_text(json.dumps({**config, "instructions": "default"}))
        assert OnnxEncoder(folder).instructions.templates == InstructionSet.default().templates
        (folder / "encoder.json").write_text(json.dumps({**config, "instructions": "own.yaml"}))
        (folder / "own.yaml").write_text("templates:\n  - {id: a, instruction: 'Mine:'}\n")
        assert [template.id for template in OnnxEncoder(folder).instructions.templates] == ["a"]


def save_checkpoint(folder):
    """Saves a tiny random sentence-transformers checkpoint."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    sentence_transformers = pytest.importorskip("sentence_transformers")
    torch.manual_seed(0)
    (folder / "bert").mkdir(parents=True)
    (folder / "bert" / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    transformers.BertTokenizerFast(vocab=str(folder / "bert" / "vocab.txt")).save_pretrained(folder / "bert")
    config = transformers.BertConfig(
        vocab_size=len(WORDS) + 5, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder / "bert")
    sentence_transformers.SentenceTransformer(str(folder / "bert"), device="cpu").save(str(folder / "model"))
    return folder / "model"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("checkpoint"))


class TestCheckpoint:
    def test_it_encodes(self, checkpoint):
        encoder = load_encoder(checkpoint)
        assert isinstance(encoder, SentenceTransformerEncoder)
        assert isinstance(encoder, Encoder)
        assert isinstance(encoder, Windowed)
        assert (encoder.name, encoder.dimension) == ("model", 32)
        assert encoder.instructions is None
        vectors = encoder.encode_documents(["create record", "send the email", ""])
        assert vectors.shape == (3, 32)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
        assert encoder.encode_queries([]).shape == (0, 32)
        assert encoder.token_starts("send the  email") == [0, 5, 10]
        assert encoder.window == 38

    def test_the_fingerprint_is_that_of_the_files(self, checkpoint, tmp_path):
        copy = Path(shutil.copytree(checkpoint, tmp_path / "other"))
        assert load_encoder(copy).fingerprint == load_encoder(checkpoint).fingerprint
        settings = json.loads((copy / "config_sentence_transformers.json").read_text())
        (copy / "config_sentence_transformers.json").write_text(json.dumps({**settings, "prompts": {"document": "passage: "}}))
        assert load_encoder(copy).fingerprint != load_encoder(checkpoint).fingerprint

    def test_instructions_travel_in_the_folder(self, checkpoint, tmp_path):
        copy = Path(shutil.copytree(checkpoint, tmp_path / "other"))
        (copy / "instructions.yaml").write_text("templates:\n  - {id: a, instruction: 'Mine:'}\n")
        encoder = load_encoder(copy)
        assert [template.id for template in encoder.instructions.templates] == ["a"]
        with Index.from_catalog(small_catalog(), encoder=encoder) as index:
            assert MultiRetriever(index).prompt("send", "step").text == "Mine:\nquery: send"
            assert len(MultiRetriever(index).retrieve("send", "step")) == 5

    @pytest.mark.parametrize(
        ("name", "content"), [("modules.json", b"{"), ("model.safetensors", b"nonsense"), ("config.json", b"{")]
    )
    def test_a_damaged_checkpoint(self, checkpoint, tmp_path, name, content):
        copy = Path(shutil.copytree(checkpoint, tmp_path / "other"))
        (copy / name).write_bytes(content)
        with pytest.raises(EncoderError, match="other"):
            load_encoder(copy)

    @pytest.mark.filterwarnings("ignore:Importing from:DeprecationWarning")  # the new place is not in older versions
    def test_a_static_model_has_no_window(self, tmp_path):
        pytest.importorskip("torch")
        sentence_transformers = pytest.importorskip("sentence_transformers")
        from sentence_transformers.models import StaticEmbedding
        from tokenizers import Tokenizer, models, pre_tokenizers

        tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(["[UNK]", *WORDS])}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        model = sentence_transformers.SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)], device="cpu")
        model.save(str(tmp_path / "static"))
        encoder = load_encoder(tmp_path / "static")
        with Index.from_catalog(small_catalog(), encoder=encoder) as index:
            assert len(MultiRetriever(index).retrieve("send the email " * 500, "step")) == 5


def test_the_texts_that_are_embedded_are_those_of_the_type():
    class Listening(WordEncoder):
        heard = ()

        def encode_documents(self, texts):
            self.heard = (*self.heard, *texts)
            return super().encode_documents(texts)

    encoder = Listening()
    with Index.from_catalog(small_catalog(), encoder=encoder):
        pass
    expected = {element_type(item.element_type).text(item) for item in small_catalog()}
    assert set(encoder.heard) == expected
    assert element_type("step").text(Step(name="a_b", scope="s")) == "a b\ns"
