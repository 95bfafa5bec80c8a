"""Choosing flows: every step, table and many fields used, no near-duplicates, no wording worn out."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

from composer.build import Draft

_LIMIT = 0.5
_PER_SOURCE = 7
_PER_ANNOTATION = 4


class Picker:
    """Chooses drafts one by one.

    Args:
        drafts: What there is.
        others: Shingles of flows that the chosen ones must not resemble.
        seed: Of the choices.
        steps: Definitions that should be used; each at least three times.
        core_share: Share of uses that should go to definitions of the scope ``core``.
    """

    def __init__(
        self, drafts: list[Draft], others: list[frozenset[str]], seed: int, steps: list[str], core_share: float = 0.63
    ) -> None:
        self.drafts = drafts
        self.chosen: list[Draft] = []
        self.refused = 0
        self._rng = random.Random(f"{seed}/pick")
        self._core_share = core_share
        self._uses: Counter[str] = Counter()
        self._wording: dict[str, set[str]] = defaultdict(set)
        self._tables: Counter[str] = Counter()
        self._fields: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._annotations: Counter[str] = Counter()
        self._index: dict[str, list[int]] = defaultdict(list)
        self._sizes: list[int] = []
        self._taken: set[str] = set()
        self._hopeless: set[str] = set()
        self._per_source: dict[str, int] = defaultdict(lambda: _PER_SOURCE)
        self._total = self._core = 0
        self._by_need: dict[str, list[Draft]] = defaultdict(list)
        for other in others:
            self._remember(other)
        for draft in drafts:
            for name in (*draft.uses, *draft.tables):
                self._by_need[name].append(draft)
        self._steps = [name for name in steps if name in self._by_need]
        self._all_tables = sorted({table for draft in drafts for table in draft.tables})

    def pick(self, number: int) -> list[Draft]:
        """Returns the given number of drafts, fewer if there are not enough."""
        while len(self.chosen) < number:
            need = self._need()
            pool = self._by_need[need] if need else self._rng.sample(self.drafts, min(250, len(self.drafts)))
            best = self._best(pool, self._per_source[need])
            if best is not None:
                self._take(best)
            elif need and self._per_source[need] == _PER_SOURCE:
                self._per_source[need] = 2 * _PER_SOURCE
            elif need:
                self._hopeless.add(need)
            elif not any(self._allowed(draft) for draft in self.drafts):
                break
        return self.chosen

    def missing(self, least: int = 3) -> list[str]:
        """Returns the definitions and tables that fewer flows use than due."""
        return [name for name in self._steps if len(self._wording[name]) < least] + [
            name for name in self._all_tables if self._tables[name] < least
        ]

    def _need(self) -> str:
        """Returns a definition or table that should be used more often, the rarest ones first; empty if there is none."""
        needed = [name for name in self.missing() if name not in self._hopeless]
        if not needed:
            return ""
        rarest = min(needed, key=lambda name: (len(self._by_need[name]), name))
        return self._rng.choice([rarest, self._rng.choice(needed)])

    def _best(self, pool: list[Draft], most: int) -> Draft | None:
        ranked = sorted((draft for draft in pool if self._allowed(draft, most)), key=self._score, reverse=True)
        for draft in ranked[:40]:
            if not self._resembles(draft.shingles):
                return draft
            self.refused += 1
            self._taken.add(draft.key)
        return None

    def _allowed(self, draft: Draft, most: int = _PER_SOURCE) -> bool:
        if draft.key in self._taken or self._sources[draft.source] >= most:
            return False
        return all(self._annotations[step["annotation"].lower()] < _PER_ANNOTATION for step in draft.flow["steps"])

    def _score(self, draft: Draft) -> float:
        score = sum(max(-0.4, 3 - len(self._wording[name])) for name in draft.uses if not name.startswith("core."))
        score += sum(1.0 for name in draft.uses if name.startswith("core.") and self._uses[name] < 10)
        score += sum(max(0, 3 - self._tables[name]) for name in draft.tables)
        score += 0.25 * sum(1 for name in draft.fields if not self._fields[name])
        score -= 0.35 * self._sources[draft.source]
        score -= 0.1 * sum(self._annotations[step["annotation"].lower()] for step in draft.flow["steps"])
        size = self._total / max(1, len(self.chosen)) - 1
        score -= 0.4 * (draft.steps - 5.8) * (1 if size > 5.8 else -1)
        share = self._core / max(1, self._total)
        score += 4.0 * (draft.core / (draft.steps + 1) - self._core_share) * (1 if share < self._core_share else -1)
        return score + self._rng.random() * 0.6

    def _take(self, draft: Draft) -> None:
        self.chosen.append(draft)
        self._taken.add(draft.key)
        self._remember(draft.shingles)
        self._uses.update(draft.uses)
        self._tables.update(draft.tables)
        self._fields.update(draft.fields)
        self._sources[draft.source] += 1
        self._annotations.update(step["annotation"].lower() for step in draft.flow["steps"])
        for step in [draft.flow["trigger"], *draft.flow["steps"]]:
            self._wording[step["definition"]].add(step["annotation"].lower())
        self._total += draft.steps + 1
        self._core += draft.core

    def _remember(self, found: frozenset[str]) -> None:
        for shingle in found:
            self._index[shingle].append(len(self._sizes))
        self._sizes.append(len(found))

    def _resembles(self, found: frozenset[str]) -> bool:
        shared: Counter[int] = Counter()
        for shingle in found:
            shared.update(self._index.get(shingle, ()))
        return any(count / (len(found) + self._sizes[at] - count) >= _LIMIT for at, count in shared.items())
