"""Embedding the documents of a batch of lists, each text once.

Lists of one batch share many documents, since they come from small catalogs: 16 lists of 20 out of 369 steps hold 320 documents
and far fewer texts. Each text goes through the model once, among texts of its length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

CHUNK = 64
_TEXT = ("input_ids", "attention_mask")


def embed_documents(model: nn.Module, columns: Sequence[Mapping[str, Any]]) -> tuple[Tensor, Tensor]:
    """Embeds columns of documents.

    Args:
        model: A SentenceTransformer, or what a trainer wraps around it.
        columns: The features of each column, of ``rows`` texts each.

    Returns:
        Embeddings [rows, columns, dimension], and the number of each text [rows, columns]: equal texts have equal numbers.
    """
    merged = _merge(columns)
    if merged is None:  # Not plain text, such as images: column by column, and no text is known to equal another.
        found = torch.stack([model(dict(column))["sentence_embedding"] for column in columns], dim=1)
        return found, torch.arange(found.shape[0] * found.shape[1], device=found.device).reshape(found.shape[:2])
    tensors, others = merged
    ids, mask = (tensors[name] for name in _TEXT)
    # What stands at masked places differs between columns (padding tokens, zeros) and means nothing.
    _, number = torch.unique(ids.masked_fill(mask == 0, -1), dim=0, return_inverse=True)
    count = int(number.max()) + 1
    places = torch.arange(len(number), device=number.device)
    first = torch.full((count,), len(number), device=number.device).scatter_reduce(0, number, places, "amin")
    embeddings = _embed(model, {name: value[first] for name, value in tensors.items()}, others)
    return embeddings[number].reshape(len(columns), -1, embeddings.shape[-1]).transpose(0, 1), number.reshape(len(columns), -1).T


def _embed(model: nn.Module, tensors: dict[str, Tensor], others: dict[str, Any]) -> Tensor:
    """Embeds texts in chunks of about one length. Returns [texts, dimension]."""
    places = torch.arange(1, tensors["attention_mask"].shape[1] + 1, device=tensors["attention_mask"].device)
    ends = (tensors["attention_mask"] * places).amax(dim=1)
    order = torch.argsort(ends, stable=True)
    parts = []
    for rows in torch.split(order, CHUNK):
        end = max(1, int(ends[rows].max()))
        parts.append(model({**others, **{name: value[rows, :end] for name, value in tensors.items()}})["sentence_embedding"])
    found = torch.cat(parts)
    return found[torch.argsort(order)]


def _merge(columns: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Returns the tensors of all columns below each other, padded to one width, and what else they share; None if they cannot."""
    first = columns[0]
    if any(set(column) != set(first) for column in columns) or any(name not in first for name in _TEXT):
        return None
    tensors: dict[str, Tensor] = {}
    others: dict[str, Any] = {}
    width = max(column["input_ids"].shape[-1] for column in columns)
    for name in first:
        values = [column[name] for column in columns]
        if all(isinstance(value, Tensor) and value.shape == column["input_ids"].shape and value.ndim == 2
               for value, column in zip(values, columns, strict=True)):  # fmt: skip
            tensors[name] = torch.cat([nn.functional.pad(value, (0, width - value.shape[1])) for value in values])
        elif not any(isinstance(value, Tensor) for value in values) and all(value == values[0] for value in values):
            others[name] = values[0]
        else:
            return None
    return (tensors, others) if all(name in tensors for name in _TEXT) else None
