import inspect
from pathlib import Path

import pytest
from pydantic import ValidationError

from parrot_core.recipe import ALL_STRATEGIES, STRATEGIES, CaPO, TrainDpo
from parrot_core.stages.capo import strategies
from parrot_core.stages.capo.strategies import NEGATIVES


def test_each_file_of_the_folder_is_a_strategy_that_a_recipe_can_name() -> None:
    folder = Path(strategies.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert set(NEGATIVES) == set(ALL_STRATEGIES) == files
    assert CaPO(strategies=ALL_STRATEGIES).strategies == ALL_STRATEGIES
    for write in NEGATIVES.values():
        assert list(inspect.signature(write).parameters) == ["query", "writers", "sampling", "seed"]


def test_each_strategy_has_its_test() -> None:
    here = Path(__file__).parent
    assert all((here / f"test_{name}.py").exists() for name in ALL_STRATEGIES)


@pytest.mark.parametrize("settings", [CaPO, TrainDpo])
def test_unless_a_recipe_says_otherwise_the_papers_three_are_made_and_trained(
    settings: type,
) -> None:
    assert settings().strategies == STRATEGIES
    assert STRATEGIES == ("neglect", "hallucination", "misunderstanding")


def test_an_unknown_strategy_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValidationError, match=r"unknown strategy 'sarcasm'.*hallucination"):
        CaPO(strategies=["sarcasm"])
