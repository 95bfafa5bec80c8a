"""Composes training flows for the IT domain out of the phrase banks in ``banks/``.

Example:
    python data/it_service/compose.py --flows 735 --seed 11
    python data/it_service/compose.py --check
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from composer.bank import Bank, read_bank
from composer.build import STYLES, Builder, Draft, shingles
from composer.emit import files_of
from composer.pick import Picker
from composer.stories import Teller
from composer.text import slug

from multiretriever.core import Catalog, Flow, read_flows

HERE = Path(__file__).resolve().parent
BUNDLED = HERE.parents[1] / "src" / "multiretriever" / "data" / "it_service"


def compose(number: int, seed: int) -> tuple[list[dict[str, Any]], str]:
    """Returns flows, ready to be written, and a summary of them."""
    catalog = Catalog.from_path(BUNDLED / "catalog", HERE / "catalog")
    bank = read_bank(HERE / "banks", catalog)
    others = [*read_flows(BUNDLED / "flows"), *_stored()]
    said = frozenset(text.lower() for flow in others for text in [flow.requirement, *(step.annotation for step in flow.steps)])
    builder = Builder(bank, seed, said)
    styles = random.Random(f"{seed}/styles")
    drafts = [draft for key, story in Teller(bank, seed).stories() if (draft := builder.build(key, story, styles.choice(STYLES)))]
    names = [step.id for step in catalog.of("step")]
    picker = Picker(drafts, [_shingles(flow) for flow in others], seed, names)
    chosen = picker.pick(number)
    flows = _named(chosen, bank, seed)
    return flows, _summary(chosen, picker, drafts, builder, names)


def _stored() -> list[Flow]:
    folder = HERE / "flows" / "stored"
    return read_flows(folder) if any(folder.glob("*.y*ml")) else []


def _shingles(flow: Flow) -> frozenset[str]:
    return shingles(flow.requirement, [step.annotation for step in flow.steps])


def _named(chosen: list[Draft], bank: Bank, seed: int) -> list[dict[str, Any]]:
    """Gives every flow a name of its own; where labels meet, each names the site or team that it is for."""
    rng = random.Random(f"{seed}/names")
    labels = Counter(draft.flow["label"] for draft in chosen)
    names: Counter[str] = Counter()
    flows = []
    for draft in sorted(chosen, key=lambda draft: (draft.flow["scope"], draft.key)):
        flow = dict(draft.flow)
        if labels[flow["label"]] > 1:
            where = rng.choice(bank.common["qualifiers"])
            flow["label"] = f"{flow['label']} ({where})"
            if "\n" not in flow["requirement"] and rng.random() < 0.6:
                ended = flow["requirement"].endswith((".", "!", "?"))
                flow["requirement"] += rng.choice(
                    [f" Only for {where}.", f" This is for {where}."] if ended else [f" ({where})", f" - only {where}"]
                )
        flow["name"] = slug(flow["label"], 8)
        names[flow["name"]] += 1
        if names[flow["name"]] > 1:
            flow["name"] += f"_{names[flow['name']]}"
        flows.append(flow)
    rng.shuffle(flows)
    return flows


def _summary(chosen: list[Draft], picker: Picker, drafts: list[Draft], builder: Builder, names: list[str]) -> str:
    steps = sum(draft.steps for draft in chosen)
    uses = sum(sum(draft.uses.values()) for draft in chosen)
    core = sum(draft.core for draft in chosen)
    fields = {field for draft in chosen for field in draft.fields}
    tables = {table for draft in chosen for table in draft.tables}
    definitions = {name for draft in chosen for name in draft.uses}
    lines = [
        f"{len(drafts)} drafts, {sum(builder.refused.values())} refused by rules, {picker.refused} near-duplicates refused",
        f"{len(chosen)} flows, {steps} steps (mean {steps / max(1, len(chosen)):.1f}), core share {core / max(1, uses):.2f}",
        f"{len(definitions)} of {len(names)} definitions, {len(tables)} tables, {len(fields)} fields used",
        f"used by fewer than 3 flows: {picker.missing()}",
        f"without any draft: {sorted(set(names) - {name for draft in drafts for name in draft.uses})}",
    ]
    return "\n".join([*lines, *(f"refused: {text}" for text in sorted(builder.refused)[:40])])


def main(arguments: list[str] | None = None) -> int:
    """Composes the flows and writes them, or compares them with those that are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=735, help="number of flows")
    parser.add_argument("--seed", type=int, default=11, help="of all choices")
    parser.add_argument("--output", type=Path, default=HERE / "flows" / "composed", help="folder for the flows")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the folder holds something else")
    options = parser.parse_args(arguments)
    flows, summary = compose(options.flows, options.seed)
    files = files_of(flows)
    if options.check:
        there = {path.name: path.read_text(encoding="utf-8") for path in sorted(options.output.glob("*.yaml"))}
        sys.stdout.write("as committed\n" if there == files else f"{options.output} differs from what the banks give\n")
        return int(there != files)
    options.output.mkdir(parents=True, exist_ok=True)
    for path in options.output.glob("composed_*.yaml"):
        path.unlink()
    for name, text in files.items():
        (options.output / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{summary}\n{len(files)} files in {options.output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
