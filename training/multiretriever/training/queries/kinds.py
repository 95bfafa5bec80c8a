"""The kinds of queries that can be written, and how many of each are asked for.

``refine`` is the query of REFINE (arXiv 2410.12890): what somebody would ask whom the document answers. The six others are those
of the listwise-distillation paper (arXiv 2502.19712): a mix of them taught its retrievers more than questions alone.
"""

from __future__ import annotations

import pydantic

from multiretriever.core.errors import ParameterError
from multiretriever.training.settings import Settings

REFINE = "refine"
FEW_SHOT = "few_shot"
RULE_KINDS: tuple[str, ...] = ("question", "claim", "title", "keywords", "free")
"""Kinds that rules can write."""
KINDS: tuple[str, ...] = (REFINE, *RULE_KINDS, FEW_SHOT)
"""All kinds that the package has prompts for; a folder of prompts of your own has its own kinds."""


class WriterSettings(Settings):
    """How many queries are written, of what kinds.

    Attributes:
        kinds: Kinds of queries; empty for all that a writer can write without being given more.
        per_element: Queries of each kind for each element. REFINE writes 10 of its one kind.
        seed: Decides all chance.
    """

    kinds: tuple[str, ...] = ()
    per_element: int = pydantic.Field(default=2, ge=1, le=50)
    seed: int = 0


def check_kinds(wanted: tuple[str, ...], known: tuple[str, ...], writer: str) -> tuple[str, ...]:
    """Returns the kinds that are wanted, each once; all that are known where none is named.

    Raises:
        ParameterError: The writer does not know one.
    """
    unknown = [kind for kind in wanted if kind not in known]
    if unknown:
        raise ParameterError(f"{writer} does not write the kinds {', '.join(unknown)}; it writes {', '.join(known)}")
    return tuple(dict.fromkeys(wanted)) or known
