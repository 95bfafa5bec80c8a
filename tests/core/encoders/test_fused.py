"""Two encoders as one: vectors by hand, queries as each reads them, a folder that is loaded like any other."""

import numpy as np
import pytest

from encoders import FixedEncoder, WindowEncoder, WordEncoder
from multiretriever.core import Catalog, Index, InstructionSet, MultiRetriever, Step
from multiretriever.core.encoders import Encoder, FusedEncoder, Windowed, load_encoder
from multiretriever.core.encoders.loading import save_fused
from multiretriever.core.errors import EncoderError, EncoderNotFoundError, ParameterError
from multiretriever.core.prompts import make_prompt

BASE = FixedEncoder({"a": (1.0, 0.0), "b": (0.6, 0.8)})
TUNED = FixedEncoder({"a": (0.0, 1.0), "b": (0.6, 0.8)})


def test_vectors_by_hand():
    fused = FusedEncoder(BASE, TUNED, 0.35)
    assert isinstance(fused, Encoder)
    due = np.array([0.65, 0.35]) / np.hypot(0.65, 0.35)
    np.testing.assert_allclose(fused.encode_documents(["a", "b"]), [due, (0.6, 0.8)], atol=1e-6)
    np.testing.assert_allclose(fused.encode_queries(["a"]), [due], atol=1e-6)
    assert FusedEncoder(BASE, TUNED, 0).encode_documents(["a"]).tolist() == [[1.0, 0.0]]
    assert fused.encode_documents([]).shape == (0, 2)


def test_fingerprints_tell_encoders_and_shares_apart():
    one, other = WordEncoder("one"), WordEncoder("other")
    made = [FusedEncoder(one, other, 0.3), FusedEncoder(one, other, 0.4), FusedEncoder(other, one, 0.3)]
    assert len({encoder.fingerprint for encoder in made}) == 3
    assert FusedEncoder(one, other, 0.3).fingerprint == made[0].fingerprint


def test_each_reads_queries_as_it_would_alone():
    instructions = InstructionSet.default()
    base, tuned = WordEncoder("base"), WordEncoder("tuned", instructions=instructions)
    fused = FusedEncoder(base, tuned)
    catalog = Catalog([Step(scope="chat", name="post"), Step(scope="mail", name="send")])
    with Index.from_catalog(catalog, encoder=fused) as index:
        MultiRetriever(index, mode="dense").retrieve("write: it", "step", context={"scope": "my_chat", "text": "annotation"})
    told = make_prompt("write: it", "step", {"scope": "my_chat", "text": "annotation"}, instructions=instructions).text
    assert tuned.query_batches == [[told]]
    assert base.query_batches == [["my chat\nwrite: it"]]


def test_both_read_instructions_where_both_know_them():
    instructions = InstructionSet.default()
    base, tuned = WordEncoder("base", instructions=instructions), WordEncoder("tuned", instructions=instructions)
    text = make_prompt("who", "field", {"table": "ticket"}, instructions=instructions).text
    FusedEncoder(base, tuned).encode_queries([text])
    assert base.query_batches == tuned.query_batches == [[text]]


@pytest.mark.parametrize(
    ("query", "name", "context"),
    [
        ("who reported it", "field", {"table": "sick_spell", "text": "annotation"}),
        ("several\nlines: of text", "step", {}),
        ("12", "table", {"scope": "x", "region": "EU north"}),
        ("no", "step", {"requirement": "a long one", "text": "annotation"}),
        ("next", "step", {"flow": "steps:\n  - {annotation: first, definition: a.b, order: 1}"}),
    ],
)
def test_bare_queries_are_those_of_an_untuned_encoder(query, name, context):
    instructions = InstructionSet.default()
    prompt = make_prompt(query, name, context, instructions=instructions)
    assert prompt.bare == make_prompt(query, name, context, instructions=None).text
    # Cut to fit a window, it still knows the query.
    assert prompt.with_body("s: [a").bare == prompt.bare


def test_other_texts_stay_as_they_are():
    base, tuned = WordEncoder("base"), WordEncoder("tuned", instructions=InstructionSet.default())
    FusedEncoder(base, tuned).encode_queries(["two\nlines"])
    assert base.query_batches == tuned.query_batches == [["two\nlines"]]


def test_window_is_the_tuned_ones():
    assert not isinstance(FusedEncoder(WordEncoder(), WordEncoder()), Windowed)
    fused = FusedEncoder(WordEncoder(), WindowEncoder(window=3))
    assert isinstance(fused, Windowed)
    assert fused.window == 3


def test_what_cannot_be_fused():
    with pytest.raises(EncoderError, match="cannot be added"):
        FusedEncoder(WordEncoder(dimension=8), WordEncoder(dimension=16))
    with pytest.raises(ParameterError, match="from 0 to 1"):
        FusedEncoder(BASE, TUNED, -0.1)


def test_bad_folders(tmp_path):
    with pytest.raises(ParameterError, match="from 0 to 1"):
        save_fused(tmp_path, None, "x", 2)
    (tmp_path / "fused.json").write_text("{}")
    with pytest.raises(EncoderError, match=r"fused\.json cannot be read"):
        load_encoder(tmp_path)
    save_fused(tmp_path, None, tmp_path / "gone")
    with pytest.raises(EncoderNotFoundError, match="gone"):
        load_encoder(tmp_path)
