from multiretriever.training.pairs import Pair
from multiretriever.training.tuning.rows import contrastive_data, make_rows, ranking_data


def pair(query, positive, *negatives, element_type="step", dataset="d", relevant=()):
    return Pair(
        query=query,
        instruction="",
        bare=query,
        context=(),
        positive=f"text of {positive}",
        negatives=tuple(f"text of {name}" for name in negatives),
        element_type=element_type,
        kind="step.annotation",
        template="",
        language="en",
        dataset=dataset,
        query_id=query,
        positive_id=positive,
        negative_ids=negatives,
        negative_kinds=("random",) * len(negatives),
        relevant_ids=(positive, *relevant),
    )


PAIRS = [
    pair("q1", "a", "b", "c", relevant=("c",)),
    pair("q2", "b", "d"),
    pair("q3", "t", "u", element_type="table"),
    pair("q4", "a", "b", dataset="e"),
]


def rows(pairs=PAIRS, negatives=1):
    return make_rows(pairs, negatives=negatives, cut=lambda prompt: prompt.text.upper())


def test_pairs_are_grouped_by_dataset_and_type():
    found, answers = rows()
    assert {name: part.queries for name, part in found.items()} == {"d/step": ["Q1", "Q2"], "d/table": ["Q3"], "e/step": ["Q4"]}
    assert [answers.groups[answers.group[label]].name for part in found.values() for label in part.labels] == [
        "d/step",
        "d/step",
        "d/table",
        "e/step",
    ]


def test_a_group_holds_all_texts_once_negatives_of_other_rows_among_them():
    _, answers = rows()
    assert answers.groups[0].texts == ["text of a", "text of b", "text of c", "text of d"]


def test_labels_lead_to_own_documents_and_to_all_known_answers():
    found, answers = rows()
    label = found["d/step"].labels[0]
    group = answers.groups[answers.group[label]]
    assert [group.ids[place] for place in answers.documents[label]] == ["a", "b"]
    assert {group.ids[place] for place in answers.known[label]} == {"a", "c"}


def test_both_texts_of_an_element_are_known_where_one_of_them_hides_something():
    hidden = pair("q5", "a", "b")
    object.__setattr__(hidden, "positive", "short a")
    found, answers = rows([hidden, *PAIRS])
    label = found["d/step"].labels[0]
    group = answers.groups[answers.group[label]]
    assert sorted(group.texts[place] for place in answers.known[label]) == ["short a", "text of a"]


def test_pairs_with_too_few_negatives_are_left_out():
    found, _ = rows(negatives=2)
    assert {name: part.queries for name, part in found.items()} == {"d/step": ["Q1"]}


def test_ranking_data_has_a_column_for_each_negative():
    data = ranking_data(rows(negatives=1)[0])
    assert data["d_step"].column_names == ["query", "positive", "negative_1", "label"]
    assert data["d_step"][1] == {"query": "Q2", "positive": "text of b", "negative_1": "text of d", "label": 1}


def test_contrastive_data_has_a_row_for_each_text():
    data = contrastive_data(rows(negatives=1)[0])
    assert data["d_step"].to_list()[:2] == [
        {"query": "Q1", "text": "text of a", "label": 1.0},
        {"query": "Q1", "text": "text of b", "label": 0.0},
    ]
