import numpy as np
import pytest

from multiretriever.core import load_encoder
from multiretriever.core.encoders import Encoder, TruncatedEncoder, Windowed, default_encoder
from multiretriever.core.encoders.loading import DEFAULT_MODEL
from multiretriever.core.errors import ParameterError

TEXTS = ["tell the caller", "close the ticket"]


def test_vectors_are_the_first_numbers_scaled_to_length_one():
    whole, part = default_encoder(), TruncatedEncoder(default_encoder(), 96)
    assert isinstance(part, Encoder)
    assert isinstance(part, Windowed)
    for encode in ("encode_documents", "encode_queries"):
        full, cut = getattr(whole, encode)(TEXTS), getattr(part, encode)(TEXTS)
        assert cut.shape == (2, 96)
        assert np.allclose(cut, full[:, :96] / np.linalg.norm(full[:, :96], axis=1, keepdims=True), atol=1e-6)


def test_it_is_another_encoder_that_reads_what_the_whole_one_reads():
    whole, part = default_encoder(), TruncatedEncoder(default_encoder(), 96)
    assert part.fingerprint not in (whole.fingerprint, TruncatedEncoder(whole, 64).fingerprint)
    assert part.instructions is whole.instructions
    assert (part.window, part.token_starts("tell them")) == (whole.window, whole.token_starts("tell them"))


def test_a_path_names_it():
    encoder = load_encoder(f"{DEFAULT_MODEL}#64")
    assert (encoder.name, encoder.dimension) == (f"{DEFAULT_MODEL.name}#64", 64)


@pytest.mark.parametrize("dimension", [0, -1, 385])
def test_dimensions_that_it_does_not_have_are_refused(dimension):
    with pytest.raises(ParameterError, match="384"):
        TruncatedEncoder(default_encoder(), dimension)
