"""Training pairs of catalogs, flows and written queries."""

from multiretriever.training.pairs.balancing import Balancer, factor, kept
from multiretriever.training.pairs.builder import PairBuilder
from multiretriever.training.pairs.negatives import Miner, NegativeSampler
from multiretriever.training.pairs.pair import Pair, read_pairs, write_pairs
from multiretriever.training.pairs.pair_tables import DatasetReport, plot_balance
from multiretriever.training.recipe import Band, PairSettings

__all__ = [
    "Balancer",
    "Band",
    "DatasetReport",
    "Miner",
    "NegativeSampler",
    "Pair",
    "PairBuilder",
    "PairSettings",
    "factor",
    "kept",
    "plot_balance",
    "read_pairs",
    "write_pairs",
]
