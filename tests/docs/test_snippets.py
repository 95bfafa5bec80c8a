"""Runs what README and docs tell people to type.

Of each page, every `$ multiretriever ...` line of a console block is run, in order; then all its Python blocks as one program.
They run in a folder with the index of `multiretriever demo`, and find the modules of the examples. Lines of other programs (make,
pip, chroma) are run by CI or by other tests. A block after the comment `<!-- not run: why -->` is left out.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Pages on examples import the modules that their programs are made of.
EXAMPLES = os.pathsep.join(str(path) for path in sorted((ROOT / "examples").iterdir()) if path.is_dir())
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?P<skip><!-- not run: [^\n]+ -->\n+)?```(?P<language>\w+)[^\n]*\n(?P<body>.*?)^```", re.DOTALL | re.MULTILINE
)
OTHER_PROGRAMS = ("make", "pip", "python", "chroma", "git", "curl", "uv", "cd")


def blocks(page, language):
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [block["body"] for block in found if block["language"] == language and not block["skip"]]


@pytest.fixture(scope="module")
def prepared(bundled_original, tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(bundled_original, folder / ".multiretriever" / "demo")
    return folder


def run(command, folder, stdin=None):
    environment = {**os.environ, "NO_COLOR": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (EXAMPLES, environment.get("PYTHONPATH"))))
    # A key or server of the machine's owner must not change what a page shows.
    environment = {key: value for key, value in environment.items() if not key.startswith("MULTIRETRIEVER_")}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, input=stdin, timeout=300)
    assert result.returncode == 0, f"{command}\n{result.stdout[-2000:]}\n{result.stderr[-3000:]}"
    return result.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page(page, prepared, tmp_path):
    folder = tmp_path / "work"
    shutil.copytree(prepared, folder)
    for block in blocks(page, "yaml"):
        # A block that starts by naming its file is that file, for the commands below it.
        if name := re.match(r"# (\S+\.ya?ml)\n", block):
            (folder / name[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / name[1]).write_text(block, encoding="utf-8")
    for block in blocks(page, "python"):
        if name := re.match(r"# (\S+\.py)\n", block):
            (folder / name[1]).write_text(block, encoding="utf-8")
    for block in blocks(page, "console"):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if not line.startswith("$ "):
                continue
            program, *arguments = shlex.split(line[2:], comments=True)
            assert program == "multiretriever" or program in OTHER_PROGRAMS, f"{page.name}: what runs {line!r}?"
            if program == "multiretriever":
                run([sys.executable, "-m", "multiretriever", *arguments], folder)
    code = "\n".join(blocks(page, "python"))
    if code:
        run([sys.executable, "-"], folder, stdin=code)


def test_pages_are_found():
    assert sum(len(blocks(page, "python")) for page in PAGES) >= 4
