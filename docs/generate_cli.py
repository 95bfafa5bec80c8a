"""Writes the help of every command into docs/cli.md, between its markers.

``python docs/generate_cli.py`` rewrites the page. With ``--check`` it changes nothing, and exits with 1 when the page is out of
date.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

# Before typer is imported, which looks at them: the same text in every terminal.
os.environ.update({"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "TERM": "dumb"})

from typer.main import get_command
from typer.testing import CliRunner

from multiretriever.cli.app import PROGRAM, app

PAGE = Path(__file__).with_name("cli.md")
# <!-- help: search --> up to <!-- end -->; the name of no command stands for the program itself.
BLOCK = re.compile(r"(?P<start><!-- help: (?P<name>[\w-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


def help_of(name: str) -> str:
    """Returns what ``multiretriever NAME --help`` prints."""
    arguments = ["--help"] if name == PROGRAM else [name, "--help"]
    # Variables of the environment stand in the help as current defaults.
    unset = {key: None for key in os.environ if key.startswith("MULTIRETRIEVER_")}
    result = CliRunner().invoke(app, arguments, prog_name=PROGRAM, env=unset, terminal_width=100, color=False)
    if result.exit_code:
        raise SystemExit(f"{PROGRAM} {' '.join(arguments)} failed: {result.output}")
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


def page_of(text: str) -> str:
    """Returns the page with the help of today."""
    named = {match["name"] for match in BLOCK.finditer(text)}
    due = {PROGRAM, *getattr(get_command(app), "commands", ())}
    if named != due:
        raise SystemExit(f"{PAGE.name} has the markers {sorted(named)}; due are {sorted(due)}")
    return BLOCK.sub(lambda match: f"{match['start']}\n```text\n{help_of(match['name'])}\n```\n\n{match['end']}", text)


def main() -> None:
    """Rewrites or checks the page."""
    old = PAGE.read_text(encoding="utf-8")
    new = page_of(old)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(new, encoding="utf-8", newline="\n")
    elif new != old:
        raise SystemExit(f"{PAGE.name} is out of date; run: python docs/{Path(__file__).name}")


if __name__ == "__main__":
    main()
