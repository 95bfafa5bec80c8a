"""The house: arrows between the portions point down, no modules import each other in a circle, no name stands twice."""

import ast
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOTS = [ROOT / name for name in ("src", "integrations", "training")]

# What each portion may import, itself aside. The command line sits on top and loads the others when a command needs them.
MAY_IMPORT = {
    "core": set(),
    "grounding": {"core"},
    "datasets": {"core", "grounding"},
    "evaluation": {"core", "grounding", "datasets"},
    "langchain": {"core", "grounding"},
    "llama_index": {"core", "grounding"},
    "training": {"core", "grounding", "datasets", "evaluation", "langchain"},
    "cli": {"core", "grounding", "datasets", "evaluation", "langchain", "training"},
    "__main__": {"cli"},
}

pytestmark = pytest.mark.skipif(not all(root.is_dir() for root in ROOTS), reason="no checkout")


def modules():
    """All modules of the three roots by dotted name."""
    found = {}
    for root in ROOTS:
        for path in (root / "multiretriever").rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path, known):
    """Names of the own modules that a module imports, at its head or when something is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names if item.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports by dots"
            for item in node.names if node.module else ():
                whole = f"{node.module}.{item.name}"
                if whole in known or node.module in known:
                    yield whole if whole in known else node.module


@pytest.fixture(scope="module")
def arrows():
    known = modules()
    return {name: set(imports(path, known)) - {name} for name, path in known.items()}


def portion(module):
    return [*module.split("."), "multiretriever"][1]


def test_arrows_between_portions_point_down(arrows):
    wrong = [
        f"{name} imports {other}"
        for name, others in arrows.items()
        for other in others
        if portion(other) != portion(name) and portion(other) not in MAY_IMPORT[portion(name)]
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle(arrows):
    order, low, waiting, circles = {}, {}, [], []

    def visit(name):  # Tarjan's strongly connected components
        order[name] = low[name] = len(order)
        waiting.append(name)
        for other in arrows[name]:
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in waiting:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            place = waiting.index(name)
            if len(waiting) - place > 1:
                circles.append(waiting[place:])
            del waiting[place:]

    for name in arrows:
        if name not in order:
            visit(name)
    assert circles == []


def test_no_module_name_stands_twice_but_where_the_frameworks_mirror_each_other():
    places = defaultdict(set)
    for name, path in modules().items():
        if path.name not in ("__init__.py", "__main__.py"):
            mirrored = portion(name) in ("langchain", "llama_index")
            places[path.stem].add("frameworks" if mirrored else name)
    assert {stem: sorted(names) for stem, names in places.items() if len(names) > 1} == {}


def test_a_module_is_no_longer_than_it_can_be_read():
    lengths = Counter({name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()})
    assert {name: length for name, length in lengths.items() if length > 500} == {}
