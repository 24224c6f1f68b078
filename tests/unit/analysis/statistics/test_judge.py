"""The judge is asked, agreement is counted, and what it cost is kept and never bought twice."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parrot_cli.main import app
from parrot_core.analysis.statistics.judge import (
    DependenceQuestion,
    Questions,
    agreement,
    ask,
    judged,
)
from parrot_core.analysis.statistics.reading import open_sessions
from parrot_core.execution.runs import begin_run
from parrot_core.judging.depends import DependenceVerdict
from parrot_core.lake.spending import Spending
from parrot_core.recipe import Sampling
from tests.support.lakes.finished_run import full_run
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.run_state import RUN
from tests.support.lakes.scripted_model import ScriptedModel
from tests.support.servers.fake_api import Reply, serving

PRICE = {"input_per_million": 1000.0, "output_per_million": 1000.0, "as_of": "2026-01-01"}


def question(number: int, rules: bool) -> DependenceQuestion:
    return DependenceQuestion(
        str(number), "en", ({"role": "user", "content": "hello"},), "Why?", rules
    )


def questions(rules: list[bool]) -> Questions:
    return Questions(tuple(question(i, said) for i, said in enumerate(rules)), 2.0)


def verdicts(words: list[bool | None]) -> list[DependenceVerdict | None]:
    return [DependenceVerdict("text", word) for word in words]


def test_kappa_is_cohens() -> None:
    # Cohen 1960's way: raw 3/4, chance 1/2 for balanced margins
    rules, judge = [True, True, False, False], [True, False, False, False]
    found = agreement(questions(rules), verdicts(judge), "m", 1)
    assert found.raw.value == pytest.approx(0.75)
    assert found.kappa.value == pytest.approx((0.75 - 0.5) / 0.5)
    assert (found.both, found.rules_only, found.judge_only, found.neither) == (1, 1, 0, 2)
    assert found.judged_per_session.value == pytest.approx(2.0 / 4)


def test_unreadable_replies_are_counted_and_take_no_side() -> None:
    found = agreement(questions([True, True, False]), [None, *verdicts([None, False])], "m", 1)
    assert (found.asked, found.unreadable, found.neither) == (3, 2, 1)
    assert found.raw.value == 1
    assert found.kappa.value is None  # both sides always say the same: chance explains all


def test_no_readable_reply_gives_no_figure() -> None:
    found = agreement(questions([True]), [None], "m", 1)
    assert (found.raw.value, found.kappa.value, found.unreadable) == (None, None, 1)


def test_every_question_gets_its_own_verdict() -> None:
    judge = ScriptedModel(lambda _, sample: "YES" if sample.startswith("1/") else "NO")
    asked = [question(number, True) for number in range(4)]
    found = asyncio.run(ask(asked, judge, Sampling(temperature=0), 2))
    assert [each.depends for each in found if each] == [False, True, False, False]


def test_answers_are_paid_once_and_count_against_the_runs_budget(tmp_path: Path) -> None:
    lake = full_run(tmp_path)
    with serving(lambda number, body: Reply("YES")) as api:
        recipe = minimal_recipe(str(tmp_path), api.base_url, budget_usd=1000.0, name="priced")
        engines = {
            name: engine.model_copy(update={"price": _price()})
            for name, engine in recipe.engines.items()
        }
        run = begin_run(recipe.model_copy(update={"engines": engines}))
        sessions = open_sessions(lake, f"parrot@{RUN}")
        first = judged(run, "judge", sessions, 5, 1)
        sent = len(api.requests)
        again = judged(run, "judge", sessions, 5, 1)
    assert first == again
    assert (sent, len(api.requests), first.requests) == (5, 5, 5)
    assert first.usd > 0
    assert Spending(lake.storage, "priced").total() == pytest.approx(first.usd)


def _price() -> object:
    from parrot_core.recipe.engines import Price

    return Price.model_validate(PRICE)


def test_an_unknown_engine_is_named_with_those_there_are(tmp_path: Path) -> None:
    full_run(tmp_path)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(minimal_recipe(str(tmp_path)).model_dump(mode="json")))
    arguments = ["stats", "parrot", "--lake", str(tmp_path), "--recipe", str(recipe), "--no-human"]
    result = CliRunner().invoke(app, [*arguments, "--judge", "oracle"])
    assert "no such engine (engines: asker, answerer, judge)" in str(result.exception)
