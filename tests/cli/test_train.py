import json

import pytest

from multiretriever.training.recipe import read_recipe
from small_dataset import write_dataset


@pytest.fixture
def folder(tmp_path):
    return write_dataset(tmp_path / "small")


def test_a_recipe_trains_an_encoder_that_other_commands_take(invoke, folder, tmp_path):
    output = tmp_path / "encoder"
    result = invoke("train", "smoke", "--data", str(folder), "--dev", str(folder), "--output", str(output), "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["steps"] == 4
    assert set(told["dev"]) == {"small/catalog_item", "small/field", "small/step", "small/table", "small/workflow", "recall"}
    found = invoke("evaluate", str(folder), "--encoder", f"tuned={output}", "--mode", "dense", "--json")
    assert found.exit_code == 0, found.stderr
    assert "tuned/dense" in found.stdout


def test_options_change_the_recipe_that_is_shown(invoke, folder, tmp_path):
    options = ("--set", "training.steps=9", "--set", "loss.name=in-batch", "--data", str(folder))
    result = invoke("train", "smoke", *options, "--show", "--output", str(tmp_path / "encoder"))
    assert result.exit_code == 0, result.stderr
    path = tmp_path / "shown.yaml"
    path.write_text(result.stdout, encoding="utf-8")
    shown = read_recipe(path)
    assert (shown.training.steps, shown.loss.name, shown.data.datasets) == (9, "in-batch", (str(folder),))
    assert not (tmp_path / "encoder").exists()


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        (("nothing",), "there is no recipe 'nothing'", 1),
        (("smoke", "--set", "training.steps"), "NAME=VALUE", 2),
        (("smoke", "--set", "training.steps=many"), "training.steps", 1),
        (("smoke",), "--data", 2),
        (("smoke", "--set", "base=nowhere", "--data", "FOLDER"), "nowhere", 1),
    ],
)
def test_what_is_wrong_is_told_in_a_line(invoke, folder, tmp_path, arguments, told, code):
    arguments = [str(folder) if item == "FOLDER" else item for item in arguments]
    result = invoke("train", *arguments, "--output", str(tmp_path / "encoder"))
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert result.exit_code == code
    assert not (tmp_path / "encoder").exists()


def test_a_folder_that_is_not_empty_is_refused_before_anything_is_read(invoke, tmp_path):
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    result = invoke("train", "smoke", "--data", str(tmp_path / "nowhere"), "--output", str(tmp_path))
    assert result.exit_code == 1
    assert "not empty" in result.stderr
