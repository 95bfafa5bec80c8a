"""Where the files that ship with the package lie."""

from __future__ import annotations

from pathlib import Path

# Not importlib.resources: the namespace has several roots in a development install, and only the one of this file has data.
_ROOT = Path(__file__).resolve().parents[1]
DEFAULT_MODEL = _ROOT / "models" / "multiretriever-minilm-l6"
IT_SERVICE = _ROOT / "data" / "it_service"
