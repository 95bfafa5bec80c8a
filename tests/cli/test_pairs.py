import json

import pytest

from multiretriever.training.pairs import read_pairs
from small_dataset import CHASE, QUERIES, write_dataset, write_queries


@pytest.fixture
def folder(tmp_path):
    return write_dataset(tmp_path / "small")


def test_pairs_with_tables_and_plot(invoke, folder, tmp_path):
    output = tmp_path / "out" / "pairs.parquet"
    result = invoke("pairs", str(folder), "--output", str(output), "--evaluation", str(folder))
    assert result.exit_code == 0, result.stderr
    pairs = list(read_pairs(output))
    assert f"{len(pairs):,} pairs in {output}" in result.stderr
    assert "step.requirement.scope.type" in result.stdout
    assert (tmp_path / "out" / "pairs.png").stat().st_size > 10_000
    text = (tmp_path / "out" / "pairs.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Training pairs by element type",
        "## Training pairs by kind of query",
        "## Evaluation data",
    ]
    assert pairs[0].query.startswith("Represent this ")


def test_options_reach_the_pairs(invoke, folder, tmp_path):
    output = tmp_path / "pairs.jsonl"
    options = ("--kind", "step.annotation", "--descriptions", "none", "--random-negatives", "1", "--hard-negatives", "0")
    result = invoke(
        "pairs", str(folder), "-o", str(output), *options, "--no-instructions", "--no-balance", "--seed", "7", "--json"
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    pairs = list(read_pairs(output))
    assert found["by_kind"] == [
        {
            "dataset": "small",
            "element_type": "step",
            "kind": "step.annotation",
            "queries": 9,
            "answers": 7,
            "pairs_before": 9,
            "pairs": 9,
        }
    ]
    assert {pair.kind for pair in pairs} == {"step.annotation"}
    assert {len(pair.negatives) for pair in pairs} == {1}
    assert pairs[0].query == "new ticket"
    assert found["negatives"] == {"small": {"random": 9}}


def test_mined_negatives_use_the_encoder(invoke, folder, tmp_path):
    result = invoke("pairs", str(folder), "-o", str(tmp_path / "p.jsonl"), "--mined-negatives", "1", "--json")
    assert result.exit_code == 0, result.stderr
    assert set(json.loads(result.stdout)["negatives"]["small"]) >= {"random", "scope"}


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--output", "p.csv"), 2, "pairs are written as .parquet or .jsonl"),
        (("--kind", "step.none"), 2, "unknown kinds of queries ['step.none']"),
        (("--split", "dev"), 2, "has no split 'dev'"),
        (("--random-negatives", "-1"), 2, "random_negatives"),
    ],
)
def test_wrong_options(invoke, folder, options, code, message):
    result = invoke("pairs", str(folder), *options)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr


def test_hallucinated_definitions_are_told(invoke, folder, tmp_path):
    (folder / "flows" / "b_chase.yaml").write_text(CHASE.replace("core.for_each", "core.for_all"))
    result = invoke("pairs", str(folder), "-o", str(tmp_path / "p.jsonl"))
    assert "definitions that its catalog does not have make no pairs: core.for_all (1)" in result.stderr


def test_check(invoke, folder):
    result = invoke("check", str(folder))
    assert (result.exit_code, result.stdout) == (0, f"{folder} is sound\n")
    (folder / "flows" / "b_chase.yaml").write_text(CHASE.replace("core.for_each", "core.for_all"))
    write_queries(folder / "queries.jsonl", [{**QUERIES[0], "relevant": ["shop.lamp"]}])
    result = invoke("check", str(folder))
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{folder}: flow 'chase': step 2: there is no step 'core.for_all' (near to it: core.for_each")
    assert second == f"{folder}: query 'q1': the catalog has no catalog_item 'shop.lamp'"
    found = json.loads(invoke("check", str(folder), "--json").stdout)
    assert (found["ok"], len(found["problems"][str(folder)])) == (False, 2)


def test_check_of_what_is_not_there(invoke, tmp_path):
    result = invoke("check", str(tmp_path / "gone"))
    assert result.exit_code == 1
    assert "there is no such file or folder" in result.stderr
