"""How the weights of an encoder are rounded to 8 bits."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

Scheme: TypeAlias = Literal["matmul-nbits", "int8-weights"]

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
BLOCK_SIZES = (16, 32, 64, 128, 256)


def describe_scheme(scheme: Scheme, block_size: int) -> dict[str, Any]:
    """Returns what ``encoder.json`` says of the rounding."""
    return {
        "scheme": scheme,
        "bits": 8,
        "symmetric": True,
        "block_size": block_size,
        "compute": "float32" if scheme == "int8-weights" else "int8",
        "embeddings": "int8, one scale a row",
    }
