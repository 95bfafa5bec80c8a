"""Encoders: text to unit vectors."""

from multiretriever.core.encoders.base import Encoder, Vectors, Windowed, make_fingerprint, unit_vectors
from multiretriever.core.encoders.derived import FusedEncoder, TruncatedEncoder
from multiretriever.core.encoders.loading import default_encoder, load_encoder
from multiretriever.core.encoders.onnx import OnnxEncoder
from multiretriever.core.encoders.sentence_transformer import SentenceTransformerEncoder
from multiretriever.core.prompts import fit_prompt

__all__ = [
    "Encoder",
    "FusedEncoder",
    "OnnxEncoder",
    "SentenceTransformerEncoder",
    "TruncatedEncoder",
    "Vectors",
    "Windowed",
    "default_encoder",
    "fit_prompt",
    "load_encoder",
    "make_fingerprint",
    "unit_vectors",
]
