"""Tuning an encoder by a recipe, with the trainer of sentence-transformers. Needs the extra ``train``."""

from multiretriever.training.tuning.train import Tuned, train

__all__ = ["Tuned", "train"]
