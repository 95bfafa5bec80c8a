import json
import re
import shlex
import subprocess
import sys

import pytest

from multiretriever.cli import options
from multiretriever.core import retriever as core_retriever
from multiretriever.core.index import index as core_index

COMMANDS = ("index", "search", "ground", "status", "verify")
HEAVY = ("chromadb", "onnxruntime", "torch", "numpy", "multiretriever.core")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_and_version_import_nothing_heavy(arguments, environment):
    script = (
        "import sys\nfrom multiretriever.cli.app import main\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "0 []"
    assert "multiretriever" in done.stdout


def test_version_is_one_line(run):
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"multiretriever \S.*\n", done.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_exit_codes_and_examples(name, plainly):
    result = plainly(name, "--help")
    assert result.exit_code == 0
    assert "Exit codes:" in result.stdout
    assert len(_examples(result.stdout)) >= 2
    for option in ("--index", "--encoder", "--name", "--plugin", "--json", "--debug"):
        assert option in result.stdout


@pytest.mark.parametrize("name", [(), *((name,) for name in COMMANDS)])
def test_examples_of_the_help_work(name, invoke):
    setup = ["multiretriever index catalog.yaml", "multiretriever index catalog.yaml --index ./my-index"]
    for example in [*setup, *_examples(invoke(*name, "--help").stdout)]:
        result = invoke(*shlex.split(example)[1:])
        assert result.exit_code == 0, (example, result.stderr)
        assert result.stdout.strip()
        if "--json" in example:
            json.loads(result.stdout)


def test_the_epilog_keeps_its_lines(plainly):
    text = plainly("--help").stdout
    assert re.search(r"^ +3 +the index or its server cannot be used$", text, re.MULTILINE)


def test_no_command_shows_the_help(plainly):
    result = plainly()
    assert result.exit_code in (0, 2)  # by the version of typer
    assert "Usage: " in result.output


@pytest.mark.parametrize(
    "arguments",
    [["serch"], ["search"], ["index"], ["search", "x", "--nosuch"], ["search", "x", "-k", "0"], ["search", "x", "-k", "many"]],
)
def test_wrong_usage_is_exit_code_2(arguments, invoke):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr


def test_defaults_are_those_of_the_core():
    # They stand twice, since importing the core takes longer than showing the help.
    assert core_index.DEFAULT_NAME == options.DEFAULT_NAME
    assert core_retriever.DEFAULT_MODE == options.DEFAULT_MODE


def _examples(text):
    return re.findall(r"^ +(multiretriever .*)$", text.partition("Examples:")[2], re.MULTILINE)
