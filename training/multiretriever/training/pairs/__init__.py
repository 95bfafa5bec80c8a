"""Training pairs of catalogs, flows and written queries."""

from multiretriever.training.pairs.balancing import Balancer, factor, kept
from multiretriever.training.pairs.builder import PairBuilder
from multiretriever.training.pairs.files import read_pairs, write_pairs
from multiretriever.training.pairs.mining import Band, Miner
from multiretriever.training.pairs.negatives import NegativeSampler
from multiretriever.training.pairs.pair import Pair
from multiretriever.training.pairs.plot import plot_balance
from multiretriever.training.pairs.report import DatasetReport
from multiretriever.training.pairs.settings import PairSettings

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
