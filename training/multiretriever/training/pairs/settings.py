"""How pairs are made."""

from __future__ import annotations

from typing import Any

import pydantic
from pydantic import ConfigDict

from multiretriever.core import ParameterError
from multiretriever.core.datasets import FLOW_KINDS, GIVEN
from multiretriever.training.pairs.mining import Band


class PairSettings(pydantic.BaseModel):
    """How pairs are made. The same settings and data give the same pairs.

    Attributes:
        seed: Decides all chance.
        kinds: Kinds of queries: template ids (``FLOW_KINDS``) and ``given``.
        descriptions: Element types whose descriptions are queries as well, with the description hidden from the answer.
        general: Share of the queries that are given the general instruction in place of their own, so that an encoder knows it
            when it meets a type that it was not trained on.
        balance: Whether frequent elements are thinned.
        random_negatives: Random elements of the same type for each pair.
        hard_negatives: Near misses by structure for each pair.
        mined_negatives: Negatives mined by similarity for each pair at most; needs an encoder.
        band: Cosines and ranks of the mined ones; REFINE's by default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    seed: int = 0
    kinds: tuple[str, ...] = (*FLOW_KINDS, GIVEN)
    descriptions: tuple[str, ...] = ("catalog_item", "workflow")
    general: float = pydantic.Field(default=0.0, ge=0, le=1)
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

    @classmethod
    def of(cls, **values: Any) -> PairSettings:
        """Makes settings.

        Raises:
            ParameterError: A value is not valid.
        """
        try:
            return cls(**values)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ParameterError(f"{where}: {first['msg'].removeprefix('Value error, ')} (got {first['input']!r})") from error
