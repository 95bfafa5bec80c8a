"""Programs of this repository that are no modules of the package: loaded, and run as a person runs them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def load_script(path):
    """Returns a program as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run_script(path, *arguments):
    """Runs a program; returns what it wrote and its exit status."""
    command = [sys.executable, str(ROOT / path), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)
