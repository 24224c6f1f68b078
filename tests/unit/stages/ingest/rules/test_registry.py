"""A rule is its file: recipes, docs and the reasons of rejects take it from there."""

from pathlib import Path

from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.rules import CHECKS, CHOSEN_TEXT_RULES, GATES, REASONS
from parrot_core.stages.reasons import REASONS as ALL_REASONS

ROOT = Path(__file__).parents[5]


def test_the_default_recipe_chooses_rules_and_checks_that_are_there() -> None:
    settings = Ingest(sources=("-",))
    assert set(settings.rules) == set(CHOSEN_TEXT_RULES)
    assert set(settings.checks) == set(CHECKS)


def test_every_rule_has_its_file_its_gate_and_a_line_in_the_docs() -> None:
    docs = (ROOT / "docs" / "how-to" / "cleaning.md").read_text()
    for name in (*CHOSEN_TEXT_RULES, *CHECKS):
        assert (ROOT / "parrot_core" / "stages" / "ingest" / "rules" / f"{name}.py").is_file()
        assert name in GATES
        assert f"`{name}`" in docs


def test_what_a_rule_rejects_for_is_a_reason_everywhere() -> None:
    assert {*CHECKS, "too_few_turns", "no_response"} <= REASONS.keys()
    assert REASONS.items() <= ALL_REASONS.items()
