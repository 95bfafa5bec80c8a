"""Encoders: text to unit vectors."""

from multiretriever.core.encoders.base import Encoder, EncoderSpec, Vectors, Windowed, make_fingerprint, unit_vectors
from multiretriever.core.encoders.derived import FusedEncoder, TruncatedEncoder
from multiretriever.core.encoders.loading import default_encoder, load_encoder
from multiretriever.core.encoders.onnx import OnnxEncoder
from multiretriever.core.encoders.sentence_transformer import SentenceTransformerEncoder

__all__ = [
    "Encoder",
    "EncoderSpec",
    "FusedEncoder",
    "OnnxEncoder",
    "SentenceTransformerEncoder",
    "TruncatedEncoder",
    "Vectors",
    "Windowed",
    "default_encoder",
    "load_encoder",
    "make_fingerprint",
    "unit_vectors",
]
