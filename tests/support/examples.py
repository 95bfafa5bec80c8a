"""Loading the programs below examples/ as modules, and running them as programs."""

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def load_example(path):
    """Returns an example's module, by its path below examples/. Modules of one folder import each other by their names."""
    file = EXAMPLES / path
    sys.path.insert(0, str(file.parent))
    try:
        if len(list(EXAMPLES.glob(f"*/{file.name}"))) == 1:
            return importlib.import_module(file.stem)
        spec = importlib.util.spec_from_file_location("example_" + "_".join(Path(path).with_suffix("").parts), file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # pydantic resolves the types of events there
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(file.parent))


def run_example(path, *arguments, folder):
    """Runs an example as a program in a folder."""
    command = [sys.executable, str(EXAMPLES / path), *arguments]
    environment = {**os.environ, "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300, env=environment)
