"""Writing flows as YAML the way people lay it out."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

import yaml

_WIDTH = 130
_PLAIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9 _./()+'&€%=<>?-]*$")


def scalar(value: Any, *, inside: bool = False) -> str:
    """Writes one value on one line; ``inside`` stands for within braces."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {scalar(item, inside=True)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(scalar(item, inside=True) for item in value) + "]"
    if not isinstance(value, str):
        return str(value)
    allowed = _PLAIN if inside else re.compile(_PLAIN.pattern.replace("%=", "%=,;"))
    if allowed.match(value) and not value.endswith(" ") and _reads_back(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _reads_back(value: str) -> bool:
    return isinstance(yaml.safe_load(value), str) and yaml.safe_load(value) == value


def _block(key: str, value: str, indent: str = "  ") -> list[str]:
    """Writes text: on one line if it fits, else as a block."""
    if "\n" not in value and len(value) < _WIDTH:
        return [f"{indent}{key}{scalar(value)}"]
    lines = [piece for line in value.split("\n") for piece in _wrapped(line, multi="\n" in value)]
    return [f"{indent}{key}|-", *(f"{indent}  {line}" for line in lines)]


def _wrapped(line: str, *, multi: bool) -> list[str]:
    deeper = " " * (len(line) - len(line.lstrip(" ")) + 2) if multi and line.lstrip().startswith("-") else ""
    return textwrap.wrap(
        line, _WIDTH - 6, subsequent_indent=deeper, drop_whitespace=True, break_long_words=False, break_on_hyphens=False
    ) or [""]


def flow_lines(flow: dict[str, Any]) -> list[str]:
    """Writes a flow as an entry of a list."""
    lines = [f"- name: {scalar(flow['name'])}", f"  label: {scalar(flow['label'])}", f"  scope: {scalar(flow['scope'])}"]
    lines += _block("description: ", flow["description"])
    lines += _block("requirement: ", flow["requirement"])
    if flow.get("paraphrases"):
        lines.append("  paraphrases:")
        for text in flow["paraphrases"]:
            lines += _block("- ", text, "    ")
    trigger = flow["trigger"]
    lines += ["  trigger:", f"    annotation: {scalar(trigger['annotation'])}", f"    definition: {trigger['definition']}"]
    lines.append(f"    inputs: {scalar(trigger['inputs'])}")
    lines.append("  steps:")
    for step in flow["steps"]:
        lines.append(f"    - annotation: {scalar(step['annotation'])}")
        if step.get("paraphrases"):
            lines.append(f"      paraphrases: {scalar(step['paraphrases'])}")
        lines += [f"      definition: {step['definition']}", f"      order: {step['order']}", f"      block: {step['block']}"]
        lines.append(f"      inputs: {scalar(step['inputs'])}")
    return lines


def files_of(flows: list[dict[str, Any]], most_flows: int = 25, most_lines: int = 900) -> dict[str, str]:
    """Spreads flows over files; returns the text of each by its name."""
    files: list[list[str]] = [[]]
    count = 0
    for flow in flows:
        lines = flow_lines(flow)
        if count == most_flows or len(files[-1]) + len(lines) > most_lines:
            files.append([])
            count = 0
        files[-1] += lines
        count += 1
    return {f"composed_{number:02d}.yaml": "\n".join(lines) + "\n" for number, lines in enumerate(files, start=1)}
