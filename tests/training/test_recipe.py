import pytest

from multiretriever.core.errors import RecipeError
from multiretriever.training.recipe import Recipe, read_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_each_bundled_recipe_is_valid_and_says_what_it_is_for(name):
    recipe = read_recipe(name)
    assert recipe.note
    assert Recipe.model_validate(recipe.model_dump()) == recipe


def test_the_recipes_of_the_three_papers_are_there():
    assert {"multitask", "refine", "distill", "adapt", "smoke", "shipped"} <= set(recipe_names())


def test_the_multitask_recipe_has_the_papers_numbers():
    training = read_recipe("multitask").training
    assert training.steps == 5000
    assert training.batch_size * training.accumulate == 32
    assert training.learning_rate == 5e-5
    assert training.weight_decay == 0.01
    assert training.warmup_steps == 500
    assert (training.schedule, training.optimizer, training.gradient_checkpointing) == ("cosine", "adafactor", True)
    assert read_recipe("multitask").loss.name == "contrastive"


def test_a_recipe_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("note: mine\ntraining: {steps: 7}\n", encoding="utf-8")
    assert read_recipe(path).training.steps == 7


def test_yaml_of_a_recipe_is_the_recipe(tmp_path):
    recipe = read_recipe("shipped").with_values({"training.steps": 9, "lora.rank": 4})
    path = tmp_path / "again.yaml"
    path.write_text(recipe.to_yaml(), encoding="utf-8")
    assert read_recipe(path) == recipe


def test_values_are_changed_by_dotted_names():
    recipe = read_recipe("smoke").with_values({"training.learning_rate": 0.001, "loss.name": "in-batch", "lora.rank": 2})
    assert recipe.training.learning_rate == 0.001
    assert recipe.loss.name == "in-batch"
    assert recipe.lora is not None
    assert recipe.lora.rank == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("trainin: {steps: 3}", "trainin"),
        ("training: {steps: 0}", "training.steps"),
        ("loss: {name: contrastive, negatives: 0}", "negatives"),
        ("loss: {name: contrastive, mini_batch: 8}", "mini_batch"),
        ("loss: {name: contrastive, anchor: 1}", "anchor"),
        ("data: {rehearsal: 5}", "rehearsal goes with a loss"),
        ("{data: {passages: 5}, loss: {anchor: 1, rehearsal: 0}}", "rehearsal goes with a loss"),
        ("loss: {mini_batch: 8, rehearsal: 1}", "without mini_batch"),
        ("loss: {rehearsal: 1}", "texts that nothing asks for"),
        ("data: {pairs: {kinds: [step.nothing]}}", "step.nothing"),
        ("tuned_share: 1.5", "tuned_share"),
        ("[1, 2]", "mapping"),
        ("a: 1\na: 2", "twice"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_told_with_its_key(tmp_path, content, told):
    path = tmp_path / "bad.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RecipeError, match=told) as caught:
        read_recipe(path)
    assert "bad.yaml" in str(caught.value)


def test_a_recipe_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(RecipeError, match="multitask"):
        read_recipe("multi-task")


@pytest.mark.parametrize("name", ["nothing.steps", "training.step", "training.steps.more"])
def test_a_value_that_no_recipe_has_is_refused(name):
    with pytest.raises(RecipeError):
        read_recipe("smoke").with_values({name: 3})
