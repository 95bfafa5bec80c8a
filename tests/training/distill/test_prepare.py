import json
import math

import pytest

from encoders import WordEncoder
from multiretriever.core import ParameterError
from multiretriever.core.errors import DatasetError
from multiretriever.training.distill import prepare, prepare_lists, read_lists
from multiretriever.training.distill.lists import Corpora
from multiretriever.training.distill.prepare import to_rows
from multiretriever.training.distill.teacher import FileTeacher
from multiretriever.training.pairs import write_pairs
from multiretriever.training.recipe import DistillSettings

ALL = {"retriever_top": None, "teacher_top": None, "score_percentile": 0, "balance": False}
SETTINGS = DistillSettings(list_length=3, **ALL)


class WordTeacher:
    """Counts the words that query and candidate share, and what it is asked."""

    name = fingerprint = "words"

    def __init__(self):
        self.asked = []

    def score(self, lists, *, folder=None, on_scored=None):
        self.asked.append(len(lists))
        return [tuple(self._score(item.query, text) for text in item.candidates) for item in lists]

    def _score(self, query, text):
        return float(len(set(query.lower().split()) & set(text.lower().split())))


def test_rows_by_hand(make_list):
    lists = [
        make_list([0.2, 0.9, 0.5], ids="abc", positive=1, query="first", known=["x", "y", "z"]),
        make_list([1.0, 0.1], ids="ad", query="second"),
    ]
    rows = to_rows(lists, 3)
    assert rows.column_names == ["query", "document_1", "document_2", "document_3", "label"]
    first, second = rows
    assert [first[f"document_{n}"] for n in (1, 2, 3)] == ["text of b", "text of a", "text of c"]
    assert [second[f"document_{n}"] for n in (1, 2, 3)] == ["text of a", "text of d", ""]
    scores, ids, known = first["label"]
    assert scores == [pytest.approx(0.9), pytest.approx(0.2), 0.5, -math.inf]  # as wide as the four known answers
    assert ids[3] == -1
    assert len(set(ids[:3])) == 3
    assert known[0] == ids[0]
    assert len(set(known)) == 4
    # The same element has the same number everywhere.
    assert second["label"][1] == [ids[1], pytest.approx(max(known) + 1), -1, -1]
    assert second["label"][2] == [ids[1], -1, -1, -1]


def test_the_same_id_of_another_type_or_dataset_is_another_element(make_list):
    rows = to_rows([make_list([1.0, 0.5, 0.2]), make_list([1.0, 0.5, 0.2], dataset="e")], 3)
    assert not set(rows[0]["label"][1]) & set(rows[1]["label"][1])


def test_rows_that_are_none(make_list):
    with pytest.raises(DatasetError, match="the list has no scores"):
        to_rows([make_list()], 3)
    with pytest.raises(ParameterError, match="2 or more documents"):
        to_rows([], 1)


def test_longer_lists_are_cut_and_keep_their_positive(make_list):
    (row,) = to_rows([make_list([0.1, 0.2, 0.3], positive=2)], 2)
    assert (row["document_1"], row["document_2"]) == ("text of c", "text of a")


def test_files_of_a_run(small, tmp_path):
    rows = prepare(small, SETTINGS, [WordEncoder()], WordTeacher(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"candidates.parquet", "lists.parquet", "state.json", "filters.md"}
    lists = list(read_lists(tmp_path / "lists.parquet"))
    assert rows.num_rows == len(lists) > 50
    assert all(0 <= score <= 1 for item in lists for score in item.scores)
    assert {item.dataset for item in lists} == {"small"}


def test_lists_are_made_once(small, tmp_path):
    encoder = WordEncoder()
    first = prepare_lists(small, SETTINGS, [encoder], WordTeacher(), tmp_path)
    asked = len(encoder.query_batches)
    again = prepare_lists(small, SETTINGS, [encoder], WordTeacher(), tmp_path)
    assert again.lists == first.lists
    assert len(encoder.query_batches) == asked > 0
    longer = SETTINGS.model_copy(update={"list_length": 4})
    assert max(len(item.candidates) for item in prepare_lists(small, longer, [encoder], WordTeacher(), tmp_path).lists) == 4
    assert len(encoder.query_batches) == 2 * asked


@pytest.mark.parametrize("damaged", ["candidates.parquet", "state.json"])
def test_a_run_that_was_killed(small, tmp_path, damaged):
    whole = prepare_lists(small, SETTINGS, [WordEncoder()], WordTeacher(), tmp_path / "whole")

    class Killed(WordTeacher):
        def score(self, lists, **options):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_lists(small, SETTINGS, [WordEncoder()], Killed(), tmp_path / "run")
    assert not (tmp_path / "run" / "lists.parquet").exists()
    (tmp_path / "run" / damaged).unlink()
    assert prepare_lists(small, SETTINGS, [WordEncoder()], WordTeacher(), tmp_path / "run").lists == whole.lists


def test_what_is_dropped_before_is_not_scored(small, tmp_path):
    teacher = WordTeacher()
    settings = DistillSettings(list_length=3, retriever_top=1)
    made = prepare_lists(small, settings, [WordEncoder()], teacher, tmp_path)
    dropped = made.report.by_filter
    assert teacher.asked == [made.report.given - dropped["duplicate"] - dropped["retriever rank"]]
    assert dropped["retriever rank"] > 0
    assert dropped["teacher rank"] > 0
    assert made.report.given == sum(dropped.values()) + len(made.lists)
    assert all(item.retrieved_rank == item.teacher_rank == 1 for item in made.lists)
    assert f"| {len(made.lists)} |" in (tmp_path / "filters.md").read_text().splitlines()[-1]


def test_pairs_and_files_of_pairs(small, pairs, tmp_path):
    write_pairs(tmp_path / "pairs.jsonl", pairs)
    corpora = Corpora.of_datasets([small])
    made = [prepare_lists(source, SETTINGS, [], WordTeacher(), tmp_path / str(place), corpora=corpora)
            for place, source in enumerate((pairs, tmp_path / "pairs.jsonl", [str(tmp_path / "pairs.jsonl")]))]  # fmt: skip
    assert made[0].lists == made[1].lists == made[2].lists
    assert not made[0].left_out
    # Without the catalogs candidates come from the pairs, and descriptions are hidden from some of them.
    alone = prepare_lists(tmp_path / "pairs.jsonl", SETTINGS, [], WordTeacher(), tmp_path / "alone")
    assert sum(alone.left_out.values()) + alone.report.given == made[0].report.given


def test_nothing_is_left(small, tmp_path):
    scores = tmp_path / "zeros.jsonl"
    lists = prepare_lists(small, SETTINGS, [], WordTeacher(), tmp_path / "work").lists
    rows = ({"query_id": item.query_id, "candidate_id": name, "score": float(name != item.positive_id)}
            for item in lists for name in item.candidate_ids)  # fmt: skip
    scores.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = SETTINGS.model_copy(update={"teacher_top": 1, "kinds": ("step.annotation",), "descriptions": ()})
    with pytest.raises(DatasetError, match=r"of 9 lists none is left \(dropped: teacher rank 9\)"):
        prepare(small, settings, [], FileTeacher(scores), tmp_path / "work")


def test_sources_that_are_none(small, tmp_path):
    with pytest.raises(DatasetError, match="no query is there"):
        prepare([], SETTINGS, [], WordTeacher(), tmp_path)
    with pytest.raises(ParameterError, match="different names"):
        prepare([small, small], SETTINGS, [], WordTeacher(), tmp_path)
    with pytest.raises(ParameterError, match="got a int"):
        prepare([3], SETTINGS, [], WordTeacher(), tmp_path)
    with pytest.raises(DatasetError, match="there is no such file"):
        prepare(tmp_path / "gone.parquet", SETTINGS, [], WordTeacher(), tmp_path)


def test_a_student_learns_from_the_rows(small, base, tmp_path):
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments

    settings = SETTINGS.model_copy(update={"kinds": ("step.requirement",), "descriptions": ()})
    rows = prepare(small, settings, [WordEncoder()], WordTeacher(), tmp_path / "work")
    model = SentenceTransformer(str(base), local_files_only=True)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=6,
        learning_rate=1e-3,
        per_device_train_batch_size=3,
        logging_steps=1,
        save_strategy="no",
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=False,
    )
    trainer = SentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=settings.loss(model))
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "kl" in entry]
    assert len(logged) == 6
    assert all(math.isfinite(entry["kl"]) and math.isfinite(entry["infonce"]) for entry in logged)
    assert logged[-1]["kl"] < logged[0]["kl"]
