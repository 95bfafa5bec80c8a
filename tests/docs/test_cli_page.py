"""The help in docs/cli.md is that of the program, and the commands with a plugin in docs/element_types.md work."""

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, folder):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MULTIRETRIEVER_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**environment, "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_is_up_to_date():
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    if version("typer") not in re.findall(r"^typer==([^\s;]+)", pins, re.MULTILINE):
        pytest.skip("another version of typer than the pinned one words its help in another way")
    done = run(str(ROOT / "docs" / "generate_cli.py"), "--check", folder=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_check_notices_a_change(tmp_path):
    script = (ROOT / "docs" / "generate_cli.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    (tmp_path / "generate_cli.py").write_text(script, encoding="utf-8")
    (tmp_path / "cli.md").write_text(page.replace("  --version", "  --verzion"), encoding="utf-8")
    done = run("generate_cli.py", "--check", folder=tmp_path)
    assert done.returncode == 1
    assert "out of date" in done.stderr


def test_commands_with_a_plugin(tmp_path):
    page = (ROOT / "docs" / "element_types.md").read_text(encoding="utf-8")
    for language in ("python", "yaml"):
        for name, body in re.findall(rf"^```{language}\n# (\S+)\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
            (tmp_path / name).write_text(body, encoding="utf-8")
    commands = re.findall(r"^\$ multiretriever (.*--plugin.*)$", page, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        done = run("-m", "multiretriever", *shlex.split(command), folder=tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
