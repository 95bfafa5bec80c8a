import pytest

from multiretriever.core import ParameterError
from multiretriever.training.distill.prepare import ListFilter
from multiretriever.training.distill.scores import normalize, raise_known
from multiretriever.training.recipe import DistillSettings, TeacherSettings


def names(lists):
    return [item.query_id for item in lists]


def test_percentiles_by_hand(make_list):
    # 101 scores from 0 to 100: the 1st percentile is 1, the 99th is 99.
    first = make_list([float(n) for n in range(101)], ids=[str(n) for n in range(101)])
    (found,) = normalize([first], "percentiles")
    assert (found.scores[0], found.scores[1], found.scores[100]) == (0.0, 0.0, 1.0)
    assert found.scores[50] == pytest.approx(49 / 98)


def test_groups_are_normalised_apart_and_lists_of_a_group_together(make_list):
    lists = [make_list([0, 10, 20]), make_list([0, 1, 2]), make_list([0, 1, 2], kind="step.annotation")]
    first, second, alone = normalize(lists, "percentiles")
    assert max(second.scores) < 0.2 < max(first.scores) == 1.0
    assert max(alone.scores) == 1.0


def test_other_normalizations(make_list):
    item = make_list([-1.0, 0.0, 3.0])
    assert normalize([item], "none") == [item]
    assert normalize([item], "lists")[0].scores == (0.0, 0.25, 1.0)
    assert normalize([item], "sigmoid")[0].scores == pytest.approx((0.268941, 0.5, 0.952574), abs=1e-6)
    assert normalize([make_list([-800.0, 0.0, 800.0])], "sigmoid")[0].scores == pytest.approx((0, 0.5, 1))
    assert normalize([make_list([2.0, 2.0, 2.0])], "percentiles")[0].scores == (1.0, 1.0, 1.0)


def test_the_teachers_ranking_without_other_known_answers(make_list):
    assert make_list([0.5, 0.9, 0.7]).teacher_rank == 3
    assert make_list([0.5, 0.9, 0.7], known=["b"]).teacher_rank == 2
    assert make_list([0.5, 0.5, 0.5]).teacher_rank == 1


def test_known_answers_raised(make_list):
    assert raise_known(make_list([0.5, 0.9, 0.7, 0.1], ids="abcd", known=["d"])).scores == (0.9, 0.9, 0.7, 0.9)


def test_filters_before_scoring(make_list):
    chosen = ListFilter(DistillSettings(retriever_top=2))
    lists = [
        make_list(query_id="kept"),
        make_list(query_id="twice", query="  Ask "),
        make_list(query_id="other positive", positive=1),
        make_list(query_id="other dataset", dataset="e"),
        make_list(query_id="alone", ids="a", query="x"),
        make_list(query_id="at the bound", rank=2, query="y"),
        make_list(query_id="beyond", rank=3, query="z"),
        make_list(query_id="not found", rank=0, query="w"),
    ]
    assert names(chosen.before(lists)) == ["kept", "other positive", "other dataset", "at the bound"]
    assert chosen.report.given == 8
    assert {name: count for name, count in chosen.report.by_filter.items() if count} == {
        "duplicate": 1,
        "one candidate": 1,
        "retriever rank": 2,
    }


def test_filters_by_the_teacher(make_list):
    lists = [
        make_list([9.0, 1.0, 2.0], query_id="best"),
        make_list([5.0, 6.0, 0.0], query_id="second"),
        make_list([5.0, 6.0, 0.0], query_id="second but known", known=["b"]),
        # Scores that are left: 9 1 2, 5 6 0, 1 0 0; their 60th percentile is 1.8.
        make_list([1.0, 0.0, 0.0], query_id="low"),
    ]
    chosen = ListFilter(DistillSettings(score_percentile=60, normalization="lists"))
    found = chosen.after(lists)
    assert names(found) == ["best", "second but known"]
    assert found[0].scores == (1.0, 0.0, 0.125)
    assert {name: count for name, count in chosen.report.by_filter.items() if count} == {"teacher rank": 1, "score percentile": 1}
    assert names(ListFilter(DistillSettings(teacher_top=2, score_percentile=0, normalization="lists")).after(lists)) == names(
        lists
    )


def test_the_least_score_is_a_normalised_one(make_list):
    lists = [make_list([5.0, 6.0, 0.0], query_id="five sixths"), make_list([6.0, 2.0, 0.0], query_id="one")]
    settings = DistillSettings(teacher_top=None, score_percentile=0, min_score=0.9, normalization="lists")
    assert names(ListFilter(settings).after(lists)) == ["one"]


def test_what_people_said_is_not_dropped(make_list):
    lists = [
        make_list([0.0, 6.0, 3.0], query_id="theirs"),
        make_list([0.0, 6.0, 3.0], query_id="written", kind="step.annotation"),
    ]
    settings = DistillSettings(trusted_kinds=("given",), raise_known=True, normalization="lists", min_score=0.1)
    (found,) = ListFilter(settings).after(lists)
    assert (found.query_id, found.scores) == ("theirs", (1.0, 1.0, 0.5))


def test_report(make_list):
    chosen = ListFilter(DistillSettings())
    chosen.after(
        chosen.before([make_list([1.0, 0.5, 0.2]), make_list([1.0, 0.5, 0.2], rank=0, kind="step.annotation", query="b")])
    )
    assert chosen.report.to_dict()["kept"] == 1
    assert chosen.report.to_markdown().splitlines() == [
        "| kind | duplicate | one candidate | retriever rank | teacher rank | score percentile | score | kept |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| given | 0 | 0 | 0 | 0 | 0 | 0 | 1 |",
        "| step.annotation | 0 | 0 | 1 | 0 | 0 | 0 | 0 |",
        "| all | 0 | 0 | 1 | 0 | 0 | 0 | 1 |",
    ]


@pytest.mark.parametrize("values", [{"list_length": 1}, {"teacher_temperature": 0}, {"normalization": "z"}, {"lists": 3}])
def test_impossible_settings(values):
    with pytest.raises(ParameterError, match=next(iter(values))):
        DistillSettings.of(**values)
    with pytest.raises(ParameterError, match="steps"):
        TeacherSettings.of(steps=0)
