"""Fusing a tuned encoder with its base, so that it keeps what the base knows of other domains (REFINE, arXiv 2410.12890)."""

from multiretriever.core.encoders.fused import SHARE, FusedEncoder, save_fused
from multiretriever.training.fusion.sweep import sweep_fusion
from multiretriever.training.fusion.sweep_report import FusionSweep, SweepPoint, plot_sweep, sweep_markdown
from multiretriever.training.fusion.weights import checkpoint_folder, fuse_weights

__all__ = [
    "SHARE",
    "FusedEncoder",
    "FusionSweep",
    "SweepPoint",
    "checkpoint_folder",
    "fuse_weights",
    "plot_sweep",
    "save_fused",
    "sweep_fusion",
    "sweep_markdown",
]
