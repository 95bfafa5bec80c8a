"""Playbooks in YAML, their check against a catalog, and their measures."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiretriever.core import Catalog, CatalogItem, MultiRetrieverError, Workflow
from multiretriever.core.catalog import IT_SERVICE
from playbook_check import check_playbook, score_playbook
from playbooks import (
    Activity,
    Playbook,
    PlaybookError,
    Stage,
    parse_playbooks,
    read_playbooks,
    write_playbooks,
)

CATALOG = Catalog(
    [
        Workflow(scope="hr", name="onboard", label="Onboard"),
        Workflow(scope="hr", name="leave"),
        CatalogItem(scope="shop", name="new_laptop", label="New laptop"),
        CatalogItem(scope="shop", name="badge"),
        CatalogItem(scope="other", name="badge"),
    ]
)
YAML = """\
name: onboarding
requirement: "Onboarding: no, really"
stages:
  - name: Before
    purpose: Things are there
    activities:
      - {kind: form, id: shop.new_laptop, why: to work with}
      - {kind: flow, id: hr.onboard, after: [shop.new_laptop]}
  - name: no
    missing: a car
"""


def playbook(*stages):
    return Playbook(
        stages=[
            Stage(name=f"s{place}", activities=[Activity(kind=kind, id=name) for kind, name in items])
            for place, items in enumerate(stages)
        ]
    )


def test_yaml_is_read_and_written_back():
    read = Playbook.from_yaml(YAML)
    assert [stage.name for stage in read.stages] == ["Before", "no"]
    assert read.stages[0].activities[1].after == ("shop.new_laptop",)
    assert read.stages[1].missing == "a car"
    assert Playbook.from_yaml(read.to_yaml()) == read


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=30)
NAME = TEXT.map(str.strip).filter(bool)


@given(
    st.builds(
        Playbook,
        name=TEXT,
        label=TEXT,
        requirement=TEXT,
        stages=st.lists(
            st.builds(
                Stage,
                name=NAME,
                purpose=TEXT,
                missing=TEXT,
                activities=st.lists(
                    st.builds(Activity, kind=st.sampled_from(["flow", "form"]), id=NAME, why=TEXT, after=st.just(()))
                ),
            ),
            max_size=4,
        ),
    )
)
def test_any_playbook_comes_back_from_its_yaml(made):
    assert Playbook.from_yaml(made.to_yaml()) == made


def test_a_file_of_several_playbooks(tmp_path):
    made = [playbook([("flow", "hr.onboard")]), playbook([], [("form", "shop.badge")])]
    write_playbooks(tmp_path / "all.yaml", made)
    assert read_playbooks(tmp_path / "all.yaml") == made


@pytest.mark.parametrize(
    ("text", "line", "field", "message"),
    [
        ("stages:\n  - purpose: x", 2, "stages[0].name", "is missing"),
        (
            "stages:\n  - name: x\n    activities:\n      - {kind: table, id: a}",
            4,
            "stages[0].activities[0].kind",
            "'flow' or 'form'",
        ),
        ("stages:\n  - name: x\n    activities:\n      - {kind: flow, id: ' '}", 4, "stages[0].activities[0].id", "is blank"),
        ("name: a\nlanes: []", 2, "lanes", "not a known key"),
        ("name: a\nname: b", 2, None, "appears twice"),
        ("a: &x 1\nb: *x", 2, None, "aliases"),
        ("stages: [", 2, None, "not YAML"),
        ("just text", 1, None, "dictionary"),
        ("", None, None, "empty"),
    ],
)
def test_what_is_wrong_is_reported_with_its_place(text, line, field, message):
    with pytest.raises(PlaybookError) as caught:
        parse_playbooks(text, source="p.yaml")
    (problem,) = caught.value.problems
    assert (problem.source, problem.line, problem.field) == ("p.yaml", line, field)
    assert message in problem.message
    assert isinstance(caught.value, MultiRetrieverError)


def test_an_activity_comes_after_an_earlier_one():
    wrong = YAML.replace("after: [shop.new_laptop]", "after: [hr.onboard]")
    with pytest.raises(PlaybookError, match=r"stage 1: 'hr\.onboard' comes after 'hr\.onboard'"):
        Playbook.from_yaml(wrong)


def test_every_problem_of_every_document_is_reported():
    with pytest.raises(PlaybookError) as caught:
        parse_playbooks("stages: 1\n---\nname: fine\n---\nx: 1\ny: 2\n")
    assert [problem.line for problem in caught.value.problems] == [1, 5, 6]


def test_one_playbook_is_expected_and_files_must_be_there(tmp_path):
    with pytest.raises(PlaybookError, match="expected one playbook, got 2"):
        Playbook.from_yaml("name: a\n---\nname: b\n")
    with pytest.raises(PlaybookError, match="no such file"):
        read_playbooks(tmp_path / "none.yaml")


def test_the_check_finds_what_does_not_exist():
    check = check_playbook(
        playbook([("flow", "hr.onbord"), ("form", "shop.new_laptop")], [("form", "hr.onboard"), ("flow", "zzz")]), CATALOG
    )
    assert [(item.kind, item.name, item.where) for item in check.findings] == [
        ("flow", "hr.onbord", "stage 1"),
        ("form", "hr.onboard", "stage 2"),
        ("flow", "zzz", "stage 2"),
    ]
    assert check.findings[0].nearest[0] == "hr.onboard"
    assert "near to it: hr.onboard" in str(check.findings[0])
    assert not check.valid
    assert (check.hallucinated_flow_share, check.hallucinated_form_share) == (1.0, 0.5)


def test_the_check_finds_what_appears_twice_and_empty_stages():
    made = playbook([("flow", "hr.onboard")], [], [("flow", "onboard")])
    made = made.model_copy(update={"stages": (*made.stages, Stage(name="car", missing="a car"))})
    check = check_playbook(made, CATALOG)
    assert [(item.kind, item.where) for item in check.findings] == [
        ("empty stage", "stage 2"),
        ("repeated", "stage 3"),
        ("empty stage", "stage 4"),
    ]
    assert check.hallucinated == ()
    assert "(a car)" in str(check.findings[2])


def test_a_name_is_an_id_only_where_nothing_else_has_it():
    check = check_playbook(playbook([("form", "new_laptop"), ("form", "badge")]), CATALOG)
    assert [item.name for item in check.findings] == ["badge"]


def test_scores_by_hand():
    wanted = playbook([("flow", "hr.onboard"), ("form", "shop.new_laptop")], [("form", "shop.badge")])
    given = playbook([("form", "shop.badge"), ("flow", "made.up")], [("flow", "hr.leave")], [("flow", "onboard")])
    scores = score_playbook(given, wanted, CATALOG)
    assert scores.hallucinated == 0.25
    assert scores.precision == 0.5
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.f1 == pytest.approx(4 / 7)
    assert (scores.same_stages, scores.in_place) == (0.0, 0.0)
    same = score_playbook(wanted, wanted, CATALOG)
    assert (same.f1, same.same_stages, same.in_place, same.hallucinated) == (1.0, 1.0, 1.0, 0.0)
    nothing = score_playbook(playbook([]), playbook([]), CATALOG)
    assert (nothing.hallucinated, nothing.precision, nothing.recall, nothing.f1, nothing.in_place) == (
        None,
        None,
        None,
        1.0,
        None,
    )


def test_the_measured_playbooks_name_what_exists():
    catalog = Catalog.from_path(IT_SERVICE)
    playbooks = read_playbooks(Path(__file__).parents[2] / "examples" / "playbook_generation" / "measured.yaml")
    assert len(playbooks) >= 20
    assert len({item.name for item in playbooks}) == len(playbooks)
    for item in playbooks:
        findings = check_playbook(item, catalog).findings
        assert {finding.kind for finding in findings} <= {"empty stage"}, item.name
