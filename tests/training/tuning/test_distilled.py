"""The recipe ``distill``, whole: lists, a teacher's scores, training, and lists that are kept for the next run."""

import json

import pytest

from multiretriever.core import load_encoder
from multiretriever.datasets import Dataset
from multiretriever.training.distill import read_lists, train_teacher
from multiretriever.training.pairs import PairBuilder
from multiretriever.training.recipe import TeacherSettings, read_recipe
from multiretriever.training.tuning import train
from small_dataset import write_dataset

LENIENT = {"retriever_top": None, "teacher_top": None, "score_percentile": 0, "list_length": 3, "max_tokens": 24}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("distilled")


@pytest.fixture(scope="module")
def recipe(folder, base):
    data = write_dataset(folder / "small")
    settings = TeacherSettings(base=str(base), steps=2, batch_size=4, max_tokens=24)
    teacher = train_teacher(list(PairBuilder(Dataset.from_path(data)).build()), folder / "teacher", settings)
    return read_recipe("distill").with_values(
        {
            "base": str(base),
            "data.datasets": [str(data)],
            "distill.teacher": str(teacher),
            "distill.lists": str(folder / "lists"),
            **{f"distill.settings.{key}": value for key, value in LENIENT.items()},
            **{"training.steps": 2, "training.batch_size": 2, "training.max_tokens": 32},
            **{"training.learning_rate": 1e-3, "training.warmup_steps": 0},
        }
    )


@pytest.fixture(scope="module")
def tuned(folder, recipe):
    return train(recipe, folder / "encoder")


def test_a_student_differs_from_its_base(tuned, recipe):
    folders = (tuned.folder, recipe.base)
    vectors = [load_encoder(str(path)).encode_documents(["say hello"])[0] for path in folders]
    assert 0.5 < vectors[0] @ vectors[1] < 0.99999
    assert json.loads((tuned.folder / "training.json").read_text(encoding="utf-8"))["steps"] == 2


def test_lists_and_scores_stay_where_the_recipe_says(tuned, folder):
    lists = list(read_lists(folder / "lists" / "lists.parquet"))
    assert lists
    assert all(len(item.scores) == len(item.candidates) <= 3 for item in lists)
    assert sorted(path.name for path in folder.iterdir()) == ["encoder", "lists", "small", "teacher"]


def test_another_temperature_scores_nothing_again(tuned, recipe, folder):
    (scores,) = (folder / "lists").glob("scores-*.jsonl")
    kept = [(path, path.stat().st_mtime_ns) for path in (scores, folder / "lists" / "candidates.parquet")]
    train(recipe.with_values({"distill.settings.teacher_temperature": 1.0}), folder / "softer")
    assert [(path, path.stat().st_mtime_ns) for path, _ in kept] == kept


def test_without_a_folder_lists_go_with_the_run(tuned, recipe, folder):
    other = folder / "other"
    train(recipe.with_values({"distill.lists": None}), other / "encoder")
    assert [path.name for path in other.iterdir()] == ["encoder"]
