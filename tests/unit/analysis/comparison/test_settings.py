"""Recipes are compared setting by setting."""

from hypothesis import given
from hypothesis import strategies as st

from parrot_core.analysis.comparison.settings import UNSET, setting_changes, value_text

trees = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xyz"), inner),
    max_leaves=6,
)
recipes = st.dictionaries(st.sampled_from(["a", "b", "c"]), trees)


@given(recipes)
def test_a_recipe_differs_in_nothing_from_itself(recipe: dict[str, object]) -> None:
    assert setting_changes([recipe, recipe, recipe]) == ()


@given(recipes, recipes)
def test_the_other_way_round_the_same_settings_differ(
    a: dict[str, object], b: dict[str, object]
) -> None:
    there, back = setting_changes([a, b]), setting_changes([b, a])
    assert {(c.path, *map(repr, c.values)) for c in there} == {
        (c.path, *map(repr, reversed(c.values))) for c in back
    }


def test_each_setting_is_named_by_its_path() -> None:
    found = setting_changes(
        [{"name": "a", "dpo": {"beta": 0.1, "x": 1}}, {"name": "b", "dpo": {"beta": 0.2, "x": 1}}]
    )
    assert [(change.path, change.values) for change in found] == [("dpo.beta", (0.1, 0.2))]


def test_unset_is_told_from_null() -> None:
    (change,) = setting_changes([{"a": None}, {}])
    assert change.values == (None, UNSET)
    assert change.to_json() == {"path": "a", "values": [None, None], "unset": [1]}
    assert [value_text(value) for value in change.values] == ["null", "-"]
