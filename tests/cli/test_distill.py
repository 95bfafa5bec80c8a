import json

import pytest

from multiretriever.core import InstructionSet
from multiretriever.datasets import Dataset
from multiretriever.training.distill import read_lists
from multiretriever.training.pairs import PairBuilder, write_pairs
from small_dataset import write_dataset
from tiny_base import write_tiny_base

QUICK = ("--steps", "2", "--batch-size", "4", "--max-tokens", "24")
SHORT = ("--length", "3", "--max-tokens", "24")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "small")


@pytest.fixture(scope="module")
def pairs(folder):
    path = folder.parent / "pairs.parquet"
    write_pairs(path, PairBuilder(Dataset.from_path(folder), instructions=InstructionSet.default()).build())
    return path


def test_a_teacher_is_trained_and_scores_lists(plainly, folder, pairs, tmp_path):
    teacher = tmp_path / "teacher"
    base = write_tiny_base(tmp_path / "base")
    result = plainly("train-teacher", pairs, "--output", teacher, "--base", base, *QUICK, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["steps"] == 2
    output = tmp_path / "out" / "lists.parquet"
    command = ("score-lists", folder, pairs, "--teacher", teacher, "-o", output, *SHORT, "--kind", "step.annotation")
    result = plainly(*command, "--no-filter", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    lists = list(read_lists(output))
    assert found["kept"] == len(lists) > 50
    assert max(len(item.candidates) for item in lists) == 3
    assert all(len(item.scores) == len(item.candidates) for item in lists)
    assert "| all |" in (tmp_path / "out" / "lists.md").read_text()
    # Once more with the filters: nothing is scored again, as the log does not grow.
    (log,) = (tmp_path / "out" / "lists.work").glob("scores-*.jsonl")
    before = log.read_text()
    result = plainly(*command)
    assert result.exit_code == 0, result.stderr
    assert log.read_text() == before
    assert len(list(read_lists(output))) < len(lists)
    assert "RETRIEVER RANK" in result.stdout


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--output", "lists.csv"), 2, "lists are written as .parquet or .jsonl"),
        (("--length", "1"), 2, "list_length"),
        (("--precision", "int4"), 2, "precision"),
        ((), 1, "is no folder of a cross-encoder"),
    ],
)
def test_wrong_options(plainly, folder, options, code, message):
    result = plainly("score-lists", folder, "--teacher", "gone", *options)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr


def test_wrong_sources(plainly, folder, tmp_path):
    scores = tmp_path / "scores.jsonl"
    scores.write_text("")
    result = plainly("score-lists", f"{folder}@gone", "--teacher", scores)
    assert (result.exit_code, "has no split 'gone'" in result.stderr) == (2, True), result.stderr
    result = plainly("train-teacher", "gone.parquet", "--output", tmp_path / "t", "--steps", "0")
    assert (result.exit_code, "steps" in result.stderr) == (2, True), result.stderr
    result = plainly("train-teacher", "gone.parquet", "--output", tmp_path / "t")
    assert (result.exit_code, "there is no such file" in result.stderr) == (1, True), result.stderr
