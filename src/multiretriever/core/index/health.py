"""What an index holds, and whether it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from multiretriever.core.elements import element_type, element_types
from multiretriever.core.errors import MultiRetrieverError, ServerUnavailableError
from multiretriever.core.index.index import Index
from multiretriever.core.index.schema import make_row

_SAMPLE = 64
# A vector's own element, looked for with that vector, has cosine 1 but for rounding.
_OWN_COSINE = 0.999
# A text's vector depends a little on the batch that it is encoded in where an encoder computes in 8 bits.
_SAME_TEXT_COSINE = 0.98


@dataclass(frozen=True)
class IndexStatus:
    """What an index holds.

    Attributes:
        location: Folder, URL or ``memory``.
        encoder: Name of the encoder that it was built with.
        fingerprint: Its fingerprint.
        dimension: Length of a vector.
        revision: Number of the last sync.
        updated: When that was (ISO 8601, UTC).
        complete: False when a sync was interrupted; sync again.
        counts: Elements by type.
        filters: Names that a filter may use, by type.
    """

    location: str
    encoder: str
    fingerprint: str
    dimension: int
    revision: int
    updated: str
    complete: bool
    counts: Mapping[str, int]
    filters: Mapping[str, tuple[str, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Returns the status as plain values."""
        return asdict(self)


def index_status(index: Index) -> IndexStatus:
    """Returns what an index holds.

    Raises:
        StoreError: The index cannot be read, or was built with another encoder.
    """
    manifest = index.manifest
    return IndexStatus(
        location=index.location,
        encoder=manifest.encoder,
        fingerprint=manifest.fingerprint,
        dimension=manifest.dimension,
        revision=manifest.revision,
        updated=manifest.updated,
        complete=manifest.complete,
        counts={name: entry.count for name, entry in manifest.types.items()},
        filters={name: entry.filters for name, entry in manifest.types.items()},
    )


def verify_index(index: Index, *, sample: int = _SAMPLE) -> list[str]:
    """Checks an index by using it: every element can be read back, and a sample of them is found by its own vector.

    A count alone proves nothing: Chroma counts rows even when all their vectors are lost.

    Returns:
        What is wrong, a sentence each; empty for a sound index.

    Raises:
        StoreError: The index cannot be read at all.
    """
    found = [] if index.manifest.complete else ["the last sync was interrupted: sync again"]
    known = {kind.name for kind in element_types()}
    for name, entry in index.manifest.types.items():
        if name not in known:
            found.append(f"{name}: the element type is not registered in this process")
            continue
        try:
            found += [f"{name}: {what}" for what in _verify_type(index, name, entry.count, sample)]
        except ServerUnavailableError:
            raise  # it says nothing of the index
        except MultiRetrieverError as error:
            found.append(f"{name}: {error}")
    return found


def _verify_type(index: Index, name: str, count: int, sample: int) -> list[str]:
    elements = list(index.all_elements(name))
    problems = []
    if len(elements) != count:
        problems.append(f"{len(elements)} elements can be read, the manifest says {count}")
    step = max(1, len(elements) // sample)
    ids = [element.id for element in elements[::step]]
    vectors = index.vectors(name, ids)
    rows = [element_id for element_id in ids if element_id in vectors]
    if len(rows) < len(ids):
        problems.append(f"{len(ids) - len(rows)} of {len(ids)} sampled elements have no vector")
    if rows:
        nearest = index.search(name, np.stack([vectors[i] for i in rows]), 1, {})
        lost = [i for i, hits in zip(rows, nearest, strict=True) if not hits or hits[0][1] < _OWN_COSINE]
        if lost:
            problems.append(f"{len(lost)} of {len(rows)} sampled elements are not found by their own vector, such as {lost[0]!r}")
    kind = element_type(name)
    sampled = [element for element in elements[::step] if element.id in vectors]
    again = index.encoder.encode_documents([make_row(element, kind).text for element in sampled])
    cosines = [float(np.dot(new, vectors[element.id])) for new, element in zip(again, sampled, strict=True)]
    foreign = [element.id for element, cosine in zip(sampled, cosines, strict=True) if cosine < _SAME_TEXT_COSINE]
    if foreign:
        problems.append(
            f"the vectors of {len(foreign)} of {len(sampled)} sampled elements are not what the encoder makes of their texts, "
            f"such as {foreign[0]!r}"
        )
    return problems
