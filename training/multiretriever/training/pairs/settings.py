"""How pairs are made."""

from __future__ import annotations

import pydantic
from pydantic import ConfigDict

from multiretriever.core.datasets import FLOW_KINDS, GIVEN
from multiretriever.training.pairs.mining import Band
from multiretriever.training.settings import Settings


class PairSettings(Settings):
    """How pairs are made. The same settings and data give the same pairs.

    Attributes:
        seed: Decides all chance.
        kinds: Kinds of queries: template ids (``FLOW_KINDS``) and ``given``.
        descriptions: Element types whose descriptions are queries as well, with the description hidden from the answer.
        balance: Whether frequent elements are thinned.
        random_negatives: Random elements of the same type for each pair.
        hard_negatives: Near misses by structure for each pair.
        mined_negatives: Negatives mined by similarity for each pair at most; needs an encoder.
        band: Cosines and ranks of the mined ones; REFINE's by default.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    seed: int = 0
    kinds: tuple[str, ...] = (*FLOW_KINDS, GIVEN)
    descriptions: tuple[str, ...] = ("catalog_item", "workflow")
    balance: bool = True
    random_negatives: int = pydantic.Field(default=2, ge=0, le=100)
    hard_negatives: int = pydantic.Field(default=2, ge=0, le=100)
    mined_negatives: int = pydantic.Field(default=0, ge=0, le=100)
    band: Band = Band()

    @pydantic.field_validator("kinds")
    @classmethod
    def _check_kinds(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [kind for kind in kinds if kind not in (*FLOW_KINDS, GIVEN)]
        if unknown or not kinds:
            raise ValueError(f"unknown kinds of queries {unknown}; known are {', '.join((*FLOW_KINDS, GIVEN))}")
        return kinds
