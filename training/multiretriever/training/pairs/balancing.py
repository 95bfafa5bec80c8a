"""Exponential down-sampling: frequent elements are seen less often than flows use them.

A few steps (if, for each, look up records) make up most uses, and an encoder that sees them that often learns little else. The
multi-task retriever paper (arXiv 2501.04652) keeps one use in 4 of a step with 50 uses, and one in 16 of a step with 500. These
are two points; the curve here is the power law through them. Ten times the uses are divided by four times as much, so that the
factor is ``(uses / 5) ** log10(4)`` and everything with up to 5 uses is kept whole.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping

WHOLE = 5
"""Uses up to which everything is kept: where the curve through the paper's two points reaches 1."""
EXPONENT = math.log10(4)


def factor(uses: int) -> float:
    """Returns by how much an element with so many uses is thinned: 1 up to 5 uses, 4 at 50, 16 at 500, 64 at 5,000."""
    return max(1.0, float((uses / WHOLE) ** EXPONENT))


def kept(uses: int) -> int:
    """Returns how many of the uses are kept, rounded; never none of some."""
    return max(1, round(uses / factor(uses))) if uses > 0 else 0


Use = tuple[str, str, str]
"""Element type, kind of query, id of the element: an element is balanced for every kind of query by itself."""


class Balancer:
    """Chooses which uses are kept, one after another, when the number of all is known.

    The uses kept of an element are spread evenly over its uses, from a start that the seed decides: exactly ``kept(uses)`` of
    them, whatever the order, without keeping any in memory.
    """

    def __init__(self, uses: Mapping[Use, int], *, seed: int = 0, enabled: bool = True) -> None:
        self._uses = uses
        self._seed = seed
        self._enabled = enabled
        self._seen: Counter[Use] = Counter()

    def keeps(self, use: Use) -> bool:
        """Returns whether the next use of an element is kept. To be asked once for every use."""
        total = self._uses.get(use, 0)
        number = self._seen[use]
        self._seen[use] += 1
        if not self._enabled or total <= WHOLE:
            return True
        share = kept(total) / total
        start = self._start(use)
        return math.floor((number + 1) * share + start) > math.floor(number * share + start)

    def _start(self, use: Use) -> float:
        digest = hashlib.blake2b("\0".join((str(self._seed), *use)).encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") / 2**32
