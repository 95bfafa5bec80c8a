"""Training pairs of catalogs, flows and written queries."""

from multiretriever.training.pairs.builder import PairBuilder
from multiretriever.training.pairs.pair import Pair, read_pairs, write_pairs
from multiretriever.training.recipe import PairSettings

__all__ = ["Pair", "PairBuilder", "PairSettings", "read_pairs", "write_pairs"]
