"""Prints constraints.txt: one set of versions for all supported Pythons and systems, by uv."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = """\
# Exact versions that make demo, make test and CI install; users of the package are bound by the ranges of pyproject.toml alone.
# Made anew by: make constraints. torch's packages for GPUs are left out, so that builds without them need none.
"""
PINS = "torch==2.13.0\n"
GPU = ("nvidia-", "cuda-", "triton")


def main() -> None:
    """Resolves all extras and writes the result to standard output."""
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "pins.txt"
        pins.write_text(PINS, encoding="utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--all-extras", "--universal", "--quiet"]
        options = ["--python-version", "3.10", "--no-annotate", "--no-header", "--no-emit-index-url", "--constraint", str(pins)]
        found = subprocess.run([*command, *options], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lines = [line for line in found.splitlines() if not line.startswith(GPU)]
    sys.stdout.write(HEADER + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
