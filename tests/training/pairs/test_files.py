import json

import pytest
from datasets import load_dataset

from multiretriever.core import ParameterError
from multiretriever.core.errors import DatasetError
from multiretriever.training.pairs import PairBuilder, read_pairs, write_pairs
from multiretriever.training.pairs.pair_tables import by_type, plot_balance, to_markdown


@pytest.fixture
def builder(dataset):
    return PairBuilder(dataset)


@pytest.mark.parametrize(("name", "form"), [("pairs.parquet", "parquet"), ("pairs.jsonl", "json")])
def test_what_is_written_is_read_back_and_loaded_by_datasets(builder, tmp_path, name, form):
    pairs = list(builder.build())
    path = tmp_path / "new" / name
    assert write_pairs(path, pairs) == len(pairs)
    assert list(read_pairs(path)) == pairs
    rows = load_dataset(form, data_files=str(path), cache_dir=str(tmp_path / "cache"), split="train")
    assert rows.num_rows == len(pairs)
    assert rows[5] == pairs[5].to_dict()


@pytest.mark.parametrize("name", ["pairs.parquet", "pairs.jsonl"])
def test_an_interruption_leaves_what_was_there(builder, tmp_path, name):
    path = tmp_path / name
    pairs = list(builder.build())
    write_pairs(path, pairs[:3])

    def interrupted():
        yield from pairs[:10]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pairs(path, interrupted())
    assert list(read_pairs(path)) == pairs[:3]
    assert [file.name for file in tmp_path.glob("*pairs*")] == [name]


def test_nothing_to_write(tmp_path):
    assert write_pairs(tmp_path / "none.parquet", []) == 0
    assert list(read_pairs(tmp_path / "none.parquet")) == []


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(ParameterError, match=r"\.parquet or \.jsonl"):
        write_pairs(tmp_path / "pairs.csv", [])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "{}\n", "a.jsonl:1: the key 'query' is missing"),
        ("a.jsonl", '{"query": "as earlier versions wrote it"}\n', "a.jsonl:1: the key 'instruction' is missing"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: expected an object, got a list"),
        ("a.jsonl", "{\n", "a.jsonl:1: not JSON"),
        ("a.parquet", "no", "not Parquet"),
        ("gone.parquet", None, "there is no such file"),
    ],
)
def test_broken_files(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError) as caught:
        list(read_pairs(tmp_path / name))
    assert message in str(caught.value)


def test_tables(builder):
    list(builder.build())
    rows = builder.report.rows()
    assert next(row for row in rows if row["kind"] == "step.requirement") == {
        "dataset": "small",
        "element_type": "step",
        "kind": "step.requirement",
        "queries": 3,
        "answers": 7,
        "pairs_before": 10,
        "pairs": 10,
    }
    totals = {row["element_type"]: row for row in by_type([builder.report])}
    # Two descriptions, each with and without scope, and a written query; an element counts once, whatever the kinds.
    assert (totals["catalog_item"]["queries"], totals["catalog_item"]["answers"], totals["step"]["answers"]) == (5, 2, 7)
    text = to_markdown([{"name": "a", "pairs": 1200}, {"name": "b", "pairs": 3}])
    assert text.splitlines() == ["| name | pairs |", "| --- | ---: |", "| a | 1,200 |", "| b | 3 |", "| all | 1,203 |"]
    assert to_markdown([]) == ""


def test_plot(builder, tmp_path):
    list(builder.build())
    path = tmp_path / "plots" / "balance.png"
    plot_balance([builder.report], path)
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[16:20], "big") > 1000  # five panels beside each other
    json.dumps(builder.report.rows())
