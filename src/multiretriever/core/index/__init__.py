"""The index of one catalog in Chroma: opened, synced, searched."""

from multiretriever.core.index.index import DEFAULT_NAME, Index

__all__ = [
    "DEFAULT_NAME",
    "Index",
]
