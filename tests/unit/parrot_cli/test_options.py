"""Where a run's workers are, by ``--on``."""

import pytest

from parrot_cli.options import placed
from parrot_core.errors import UserError
from parrot_core.recipe import Cluster, Recipe
from tests.support.lakes.recipes import minimal_recipe


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    resources = {"seeds": {"cpus": 4}}
    return minimal_recipe("lake", cluster={"address": "head:6379", "resources": resources})


def test_without_a_word_the_recipe_decides(recipe: Recipe) -> None:
    assert placed(recipe, None) is recipe
    assert placed(recipe, "ray").cluster == recipe.cluster
    assert placed(recipe, "here").cluster is None


def test_an_address_wins_over_the_recipes_and_leaves_what_workers_take(recipe: Recipe) -> None:
    for address in ("auto", "ray://10.0.0.1:10001", "head.example.org:6379", "ray://[::1]:10001"):
        cluster = placed(recipe, address).cluster
        assert cluster is not None
        assert (cluster.address, cluster.resources["seeds"].cpus) == (address, 4)
    assert placed(recipe, "auto").fingerprint() == recipe.fingerprint()


def test_a_recipe_without_a_cluster_takes_the_one_that_rays_commands_would(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = placed(recipe, "here")
    assert placed(local, "ray").cluster == Cluster(address="auto")
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    assert placed(local, "ray").cluster == Cluster(address="ray://head:10001")


@pytest.mark.parametrize("on", ["", "rays", "http://head:10001", "head", "ray://head", "a b:1"])
def test_what_is_no_place_is_refused_in_one_line(recipe: Recipe, on: str) -> None:
    with pytest.raises(UserError, match=f"--on {on}: expected here, ray, auto, HOST:PORT"):
        placed(recipe, on)
