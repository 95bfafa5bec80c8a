"""Imports every public name of an installed multiretriever, and fails if torch came along or a search does not work.

Usage: check_wheel.py PORTION ...  (such as core langchain)
"""

import importlib
import importlib.metadata
import sys
import tempfile

import multiretriever


def check_names(portions: list[str]) -> int:
    """Imports what each portion exports; returns how many names that are."""
    count = 0
    for portion in portions:
        module = importlib.import_module(f"multiretriever.{portion}")
        names = getattr(module, "__all__", [])
        missing = [name for name in names if getattr(module, name, None) is None]
        if missing:
            sys.exit(f"multiretriever.{portion} exports names that it does not have: {missing}")
        count += len(names)
    return count


def check_search() -> str:
    """Indexes a part of the bundled catalog with the shipped encoder and searches it."""
    from multiretriever.core import Catalog, Index, MultiRetriever
    from multiretriever.core.catalog import IT_SERVICE

    slack = [item for item in Catalog.from_path(IT_SERVICE).of("step") if item.scope in ("slack", "okta")]
    with tempfile.TemporaryDirectory() as folder, Index.from_catalog(Catalog(slack), f"{folder}/index") as index:
        return MultiRetriever(index).retrieve("post a message in a channel", "step", k=1)[0].id


def main() -> None:
    """Runs all checks."""
    if hasattr(multiretriever, "__file__") and multiretriever.__file__:
        sys.exit("multiretriever has an __init__.py; it must be a namespace package")
    count = check_names(sys.argv[1:])
    found = check_search()
    if found != "slack.post_message":
        sys.exit(f"the search found {found}")
    if "torch" in sys.modules or any(item.name == "torch" for item in importlib.metadata.distributions()):
        sys.exit("torch is installed or imported")
    sys.stdout.write(f"{count} public names of {', '.join(sys.argv[1:])} imported from the wheel; a search works; no torch\n")


if __name__ == "__main__":
    main()
