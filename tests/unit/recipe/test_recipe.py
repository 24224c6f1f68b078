import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.errors import RecipeError
from parrot_core.recipe import Filter, Recipe, load_recipe, overridden, parse_recipe
from parrot_core.recipe.reference import recipe_reference
from tests.support.lakes.recipes import minimal_recipe

RECIPES = Path(__file__).parents[3] / "deployments" / "recipes"


@pytest.mark.parametrize("name", sorted(path.name for path in RECIPES.glob("*.yaml")))
def test_every_shipped_recipe_is_valid(name: str) -> None:
    load_recipe(RECIPES / name)


def test_paper_yaml_holds_the_papers_numbers() -> None:
    recipe = load_recipe(RECIPES / "paper.yaml")
    for training in (recipe.train_ask, recipe.train_sft):
        assert training.base == "meta-llama/Llama-2-13b-hf"
        assert training.max_length == 4096
        assert training.epochs == 3
        assert training.learning_rate == 3e-5
        assert training.lr_scheduler == "cosine"
        assert training.warmup_epochs == 0.1
        assert training.batch_size == 32
    assert recipe.train_ask.max_examples == 70_000
    assert recipe.seeds.limit == 40_000
    assert recipe.synthesize.max_turns == 10
    assert recipe.select.limit == 10_000
    assert recipe.capo.strategies == ("neglect", "hallucination", "misunderstanding")
    assert recipe.train_dpo.learning_rate == 1e-5
    assert recipe.train_dpo.batch_size == 32


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("seed=-1", r"seed: .*greater than or equal to 0 \(given: -1\)"),
        ("synthesize.max_turns=0", r"synthesize.max_turns: .* \(given: 0\)"),
        ("synthesize.min_turns=50", "min_turns 50 is above max_turns 10"),
        ("synthesize.asker=nobody", "synthesize.asker names engine 'nobody'"),
        ("sythesize.max_turns=3", "--set: sythesize: no such setting; did you mean 'synthesize'"),
        ("filter.rules=[shrt]", r"filter.rules.0: .*'short'"),
        ("train_dpo.beta=-1", "train_dpo.beta"),
        ("seeds.from_training=true", "expected train_ask.learn_first_query: false"),
        ("engines.judge.kind=magic", "engines.judge: .*'magic'"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(tmp_path: Path, change: str, problem: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(minimal_recipe("lake").model_dump(mode="json")))
    with pytest.raises(RecipeError, match=problem) as error:
        load_recipe(path, (change,))
    assert "\n" not in str(error.value)


def test_all_mistakes_of_a_file_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "name: x\nseed: -1\nengines:\n  api: {kind: openai, model: m, base_ur: x}\n"
        "filter:\n  rules:\n    - short\n    - shrt\ncapo: {writer: apo}\n"
    )
    with pytest.raises(RecipeError) as error:
        load_recipe(path, ("ingest.min_turns=0",))
    first, *rest = str(error.value).splitlines()
    assert first.endswith("recipe.yaml: 5 things to mend:")
    wanted = ("--set: ingest.min_turns: ", "line 2: seed: ", "line 4: engines.api.base_ur: no such")
    wanted += ("line 8: filter.rules.1: ", "line 9: capo.writer names engine 'apo'")
    assert all(line.strip().startswith(each) for line, each in zip(rest, wanted, strict=True))
    assert [place for place, line in enumerate(rest) if "did you mean" in line] == [2, 3, 4]


@given(text=st.text(max_size=80))
def test_whatever_a_file_holds_is_a_recipe_or_a_recipe_error(text: str) -> None:
    path = Path(tempfile.gettempdir()) / "any-recipe.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(RecipeError):
        load_recipe(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "line 2: not valid YAML"),
        ("- 1", "expected a mapping"),
        ("seed: 1", "name: Field required"),
        (b"\xff\xfe\x00", "can't be read"),
    ],
)
def test_a_file_that_is_no_recipe_is_one_line(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text if isinstance(text, bytes) else f"{text}\n".encode())
    with pytest.raises(RecipeError, match=problem):
        load_recipe(path)


def test_the_fingerprint_ignores_what_does_not_change_the_output() -> None:
    plain = minimal_recipe("lake")
    assert minimal_recipe("s3://other", budget_usd=5, shards_at_once=9).fingerprint() == (
        plain.fingerprint()
    )
    assert minimal_recipe("lake", seed=7).fingerprint() != plain.fingerprint()
    assert minimal_recipe("lake", filter={"min_turns": 3}).fingerprint() != plain.fingerprint()


def test_a_recipe_survives_its_own_json() -> None:
    recipe = load_recipe(RECIPES / "demo.yaml")
    again = parse_recipe(recipe.model_dump(mode="json"))
    assert again == recipe
    assert again.fingerprint() == recipe.fingerprint()


def test_every_setting_has_a_description_for_its_user() -> None:
    schema = Recipe.model_json_schema()
    for name, model in {"Recipe": schema, **schema["$defs"]}.items():
        for field, info in model.get("properties", {}).items():
            if field == "kind" or "$ref" in info or "discriminator" in info:
                continue
            described = "description" in info or "$ref" in str(info)
            assert described, f"{name}.{field} has no description"


def test_every_filter_rule_of_the_recipe_exists() -> None:
    from parrot_core.stages.filters import RULES

    assert set(Filter().rules) <= set(RULES)


def test_the_recipe_reference_in_the_docs_is_up_to_date() -> None:
    written = (RECIPES.parents[1] / "docs" / "reference" / "recipe.md").read_text(encoding="utf-8")
    assert written == recipe_reference(), "run: parrot settings > docs/reference/recipe.md"


def test_a_run_is_resumed_with_overrides_of_the_recipe_it_was_begun_with() -> None:
    begun = minimal_recipe("lake", budget_usd=5)
    more = overridden(begun, ("budget_usd=40", 'lake="other"'))
    assert (more.budget_usd, more.lake) == (40, "other")
    assert more.fingerprint() == begun.fingerprint()
    with pytest.raises(RecipeError, match="budget_usd"):
        overridden(begun, ("budget_usd=-1",))


def test_an_override_changes_one_place_of_settings_that_the_file_repeats_by_alias() -> None:
    recipe = load_recipe(RECIPES / "paper.yaml", ("train_ask.devices.strategy=ddp",))
    assert recipe.train_ask.devices.strategy == "ddp"
    assert recipe.train_sft.devices.strategy == "fsdp"
