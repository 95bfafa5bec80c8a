import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from multiretriever.cli.output import clean, show_table

NASTY = "red \x1b[31mtext\x1b[0m \x9b2J bell\x07 back\x08 [bold]markup[/bold] :smile: \u202eturned"


@pytest.fixture
def nasty(invoke):
    text = json.dumps({"scope": "x\x1b[2J", "steps": [{"name": "nasty", "label": NASTY, "description": f"a\n\nb\t{NASTY}\r"}]})
    Path("nasty.json").write_text(text, encoding="utf-8")
    assert invoke("index", "nasty.json").exit_code == 0


def test_catalog_text_cannot_steer_the_terminal(invoke, nasty):
    for arguments in (["search", "nasty"], ["search", "nasty", "--json"], ["ground", "nasty"], ["status"], ["verify"]):
        result = invoke(*arguments)
        assert result.exit_code == 0
        assert not {ord(letter) for letter in result.output} & {*range(10), *range(11, 32), *range(0x7F, 0xA0), 0x202E}
    row = invoke("search", "nasty").stdout.splitlines()[1]
    assert r"red \x1b[31mtext" in row
    assert "[bold]markup[/bold] :smile:" in row
    assert "a b red" in row
    assert json.loads(invoke("search", "nasty", "--json").stdout)["hits"][0]["label"] == NASTY


def test_errors_cannot_either(invoke, indexed):
    result = invoke("search", "x", "--where", "\x1b[2Jscope=1")
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr


def test_clean_keeps_lines_and_letters():
    assert clean("a\n\tb \u00fc \u4f60 \U0001f600\u200d") == "a\n\tb \u00fc \u4f60 \U0001f600\u200d"
    assert clean("\ud800\u2028\r") == "\\ud800\\u2028\\r"


def test_table_columns(capsys):
    show_table(("name", "count", "text"), [("\u4f60\u597d", 5, "x"), ("abc", 12, "long " * 50)])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head == "NAME  COUNT  TEXT"
    assert first == "\u4f60\u597d      5  x"
    assert second.startswith("abc      12  long long")
    assert second.count("long") == 50  # nothing is cut where no terminal shows it


def test_empty_table_and_last_column_of_numbers(capsys):
    show_table(("a", "b"), [])
    show_table(("type", "unchanged"), [("step", 3)])
    assert capsys.readouterr().out == "A  B\nTYPE  UNCHANGED\nstep          3\n"


def test_stdout_that_knows_few_letters(run, invoke):
    Path("umlaut.yaml").write_text("steps: [{name: a, label: Gr\u00fc\u00dfe \u4f60}]", encoding="utf-8")
    assert invoke("index", "umlaut.yaml").exit_code == 0
    narrow = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = run("search", "a", env=narrow)
    assert done.returncode == 0, done.stderr
    assert "Gr??e ?" in done.stdout
    done = run("search", "Gr\u00fc\u00dfe", "--json", env=narrow)
    answer = json.loads(done.stdout)
    assert answer["hits"][0]["label"] == "Gr\u00fc\u00dfe \u4f60"
    assert answer["query"] == "Gr\u00fc\u00dfe"
    done = run("search", "\u4f60", "--where", "\u4f60=1", env=narrow)
    assert done.returncode == 2


@pytest.mark.parametrize("arguments", [["search", "incident"], ["search", "incident", "--json"], ["--help"], ["status"]])
def test_broken_pipe_is_silent(environment, indexed, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "multiretriever", *arguments],
        env=environment, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
    )  # fmt: skip
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode in (0, 1) if arguments == ["--help"] else done.returncode == 0


def test_verify_tells_by_its_code_though_nobody_reads(environment, indexed):
    process = subprocess.Popen(
        f'"{sys.executable}" -m multiretriever search incident | "{sys.executable}" -c "print(input())"',
        shell=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    stdout, stderr = process.communicate(timeout=120)
    assert stdout.startswith("RANK")
    assert stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only some systems have /dev/full")
def test_full_disk_is_an_error(environment, indexed):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "multiretriever", "status"]
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the result cannot be written")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are a matter of Unix")
def test_terminal(environment, indexed):
    import pty

    controller, terminal = pty.openpty()
    environment.update({"COLUMNS": "70", "TERM": "xterm-256color"})
    command = [sys.executable, "-m", "multiretriever", "search", "on-call incident", "-k", "2"]
    process = subprocess.Popen(command, env=environment, stdout=terminal, stderr=terminal, stdin=subprocess.DEVNULL)
    os.close(terminal)
    shown = b""
    try:
        while chunk := os.read(controller, 4096):
            shown += chunk
    except OSError:  # how Linux tells the end
        pass
    assert process.wait(timeout=120) == 0
    lines = shown.decode().splitlines()
    assert max(map(len, lines)) == 70
    assert any(line.endswith("...") for line in lines)
    assert "\x1b" not in shown.decode()
