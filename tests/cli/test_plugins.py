import json
import subprocess
import sys
from pathlib import Path

import pytest

FORM_PLUGIN = """\
from typing import Literal

from multiretriever.core import Element, ElementType, register_element_type


class Form(Element):
    element_type: Literal["form"] = "form"
    audience: str = ""


register_element_type(ElementType("form", Form, "forms", default_k=1, filters=("audience",)))
"""
FORMS = """\
scope: portal
forms:
  - {name: leave, label: Leave Request, description: Asks for days off., audience: staff}
  - {name: visit, label: Visitor Badge, description: Announces a visitor at the reception., audience: all}
"""


@pytest.fixture
def forms():
    Path("form_plugin.py").write_text(FORM_PLUGIN, encoding="utf-8")
    Path("forms.yaml").write_text(FORMS, encoding="utf-8")
    return ("--plugin", "form_plugin")


def test_element_type_of_the_users_own(run, forms):
    done = run("index", "catalog.yaml", "forms.yaml", *forms, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["types"]["form"]["embedded"] == 2
    done = run("search", "somebody visits the reception", "--type", "form", *forms, "--json")
    assert [hit["id"] for hit in json.loads(done.stdout)["hits"]] == ["portal.visit"]
    done = run("ground", "days off", "--type", "forms=5", "--where", "audience=staff", "--json",
               env={"MULTIRETRIEVER_PLUGINS": "words_plugin, form_plugin,"})  # fmt: skip
    assert [hit["id"] for hit in json.loads(done.stdout)["hits"]["form"]] == ["portal.leave"]
    assert run("verify", *forms).returncode == 0

    without = run("search", "days off", "--type", "form")
    assert without.returncode == 2
    assert "--plugin" in without.stderr
    verified = run("verify")
    assert verified.returncode == 1
    assert "not registered" in verified.stdout


def test_plugin_in_the_current_folder_of_the_installed_script(environment, forms, tmp_path):
    script = tmp_path / "bin" / "script.py"
    script.parent.mkdir()
    script.write_text("from multiretriever.cli.app import main\nmain()\n", encoding="utf-8")
    command = [sys.executable, str(script), "index", "forms.yaml", *forms, "--quiet"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_installed_plugin(run, forms, environment, tmp_path):
    for entry in ("form_plugin", "form_plugin:KIND"):
        Path("form_plugin.py").write_text(
            FORM_PLUGIN.replace("register_element_type(ElementType(", "KIND = (ElementType(") if ":" in entry else FORM_PLUGIN,
            encoding="utf-8",
        )
        info = Path("forms-1.0.dist-info")
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: forms\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[multiretriever.element_types]\nforms = {entry}\n", encoding="utf-8")
        done = run("index", "forms.yaml", "--quiet")
        assert done.returncode == 0, done.stderr
    Path("form_plugin.py").write_text("1 / 0", encoding="utf-8")
    done = run("search", "x")
    assert done.returncode == 2
    assert done.stderr.startswith("error: entry point 'forms'")
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "ModuleNotFoundError"),
        ("import nosuch_library", "nosuch_library"),
        ("def broken(:", "SyntaxError"),
        ("raise RuntimeError('two\\nlines')", "two lines"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("from multiretriever.core import *\nregister_element_type(ElementType('step2', Step, 'steps2'))", "ElementTypeError"),
    ],
)
def test_plugin_that_fails_is_one_line(invoke, text, reason):
    name = f"broken_{abs(hash(text))}"
    if text is not None:
        Path(f"{name}.py").write_text(text, encoding="utf-8")
    result = invoke("status", "--plugin", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: plugin '{name}' cannot be loaded: ")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1


def test_file_name_instead_of_module(invoke):
    result = invoke("status", "--plugin", "form_plugin.py")
    assert result.exit_code == 2
    assert "give the module's name, 'form_plugin'" in result.stderr
