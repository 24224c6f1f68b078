from pathlib import Path
from typing import Any

import pytest

from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.types import BudgetReached, EveryRequestRefused, KeyRefused
from parrot_core.execution.engine_checks import EngineCheck, check_engines
from parrot_core.execution.selection import run_to_be
from parrot_core.lake.run import Run
from parrot_core.lake.spending import Spending
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SEEDS, drive, synthesis
from tests.support.servers.fake_api import Reply, completion_json, echo_turns, serving

Body = dict[str, Any]


def asking_first(folder: Path, base_url: str, **changes: Any) -> Run:
    sampling = {"ask": {"max_tokens": 33}, "answer": {"max_tokens": 77, "temperature": 0.3}}
    shape = {"max_turns": 4, "min_turns": 2, "sessions_per_shard": 6, **sampling}
    return synthesis(folder, base_url, ask_first=True, synthesize=shape, **changes)


def is_check(body: Body) -> bool:
    return [message["content"] for message in body["messages"]] == ["Hi"]


def tokens_of(body: Body) -> int:
    usage = completion_json(body, echo_turns(0, body))["usage"]
    return int(usage["total_tokens"])


def refusing(parameter: str) -> Any:
    def behave(number: int, body: Body) -> Reply:
        if parameter in body:
            error = {"message": f"'{parameter}' is not known here", "param": parameter}
            return Reply(status=400, error={**error, "code": "unsupported_parameter"})
        return echo_turns(number, body)

    return behave


def test_each_api_is_asked_a_word_with_the_stages_own_parameters_before_any_row(
    tmp_path: Path,
) -> None:
    with serving() as api:
        manifest = drive(asking_first(tmp_path, api.base_url), SynthesizeStage())
    first = api.requests[:2]
    assert all(map(is_check, first))
    assert sorted(body["max_completion_tokens"] for body in first) == [33, 77]
    assert {body["temperature"] for body in first} == {0.7, 0.3}
    assert not any(map(is_check, api.requests[2:]))
    assert len(api.requests) == SEEDS * 7 + 2
    assert manifest.usage["answerer"].requests == SEEDS * 4
    assert manifest.usage["answerer (check)"].requests == 1
    assert manifest.usage["asker (check)"].usd > 0


def test_a_run_that_is_resumed_asks_no_second_time(tmp_path: Path) -> None:
    with serving() as api:
        run = asking_first(tmp_path, api.base_url, budget_usd=2)
        with pytest.raises(BudgetReached):
            drive(run, SynthesizeStage(), Budget(2))
        assert sum(map(is_check, api.requests)) == 2
        drive(run, SynthesizeStage(), Budget(None))
        assert sum(map(is_check, api.requests)) == 2


def test_what_was_asked_first_counts_against_the_budget(tmp_path: Path) -> None:
    with serving(refusing("seed")) as api:
        run = asking_first(tmp_path, api.base_url)
        with pytest.raises(EveryRequestRefused):
            drive(run, SynthesizeStage())
    assert Spending(run.lake.storage, run.name).total() == 0
    with serving() as api:
        run = asking_first(tmp_path / "paid", api.base_url, budget_usd=1.5)
        with pytest.raises(BudgetReached):
            drive(run, SynthesizeStage(), Budget(1.5))
        rows = [body for body in api.requests if not is_check(body)]
    assert len(api.requests) - len(rows) == 2
    paid = 0.01 * sum(tokens_of(body) for body in api.requests)
    assert Spending(run.lake.storage, run.name).total() == pytest.approx(paid)


def test_a_refused_parameter_stops_the_run_before_any_row_and_names_what_mends_it(
    tmp_path: Path,
) -> None:
    with serving(refusing("seed")) as api:
        run = asking_first(tmp_path, api.base_url)
        with pytest.raises(EveryRequestRefused, match=r"'seed' is not known here") as refusal:
            drive(run, SynthesizeStage())
        assert "request.seed=null" in str(refusal.value)
        assert all(map(is_check, api.requests))
        mended = {**run.recipe.engines["asker"].model_dump(mode="json"), "request": {"seed": None}}
        engines = dict.fromkeys(("asker", "answerer", "judge"), mended)
        again = asking_first(tmp_path / "mended", api.base_url, engines=engines)
        assert drive(again, SynthesizeStage()).accounting.rows_out == SEEDS


def test_an_answer_that_is_all_thinking_stops_the_run_and_names_the_limit(tmp_path: Path) -> None:
    with serving(lambda *_: Reply("", finish_reason="length")) as api:
        run = asking_first(tmp_path, api.base_url)
        with pytest.raises(EveryRequestRefused, match=r"synthesize\.(answer|ask).*max_tokens"):
            drive(run, SynthesizeStage())
        assert all(map(is_check, api.requests))


def test_a_greeting_that_is_found_offensive_stops_nothing(tmp_path: Path) -> None:
    def prudish(number: int, body: Body) -> Reply:
        if is_check(body):
            return Reply(status=400, error={"code": "content_filter"})
        return echo_turns(number, body)

    with serving(prudish) as api:
        manifest = drive(asking_first(tmp_path, api.base_url), SynthesizeStage())
    assert manifest.accounting.rows_out == SEEDS


def test_a_provider_that_is_busy_is_waited_for(tmp_path: Path) -> None:
    def busy(number: int, body: Body) -> Reply:
        return Reply(status=429) if number <= 3 else echo_turns(number, body)

    with serving(busy) as api:
        engine = {"kind": "openai", "model": "m", "base_url": api.base_url, "api_key_env": None}
        engines = {"asker": engine, "answerer": engine, "judge": engine}
        run = asking_first(tmp_path, api.base_url, engines=engines)
        assert drive(run, SynthesizeStage()).accounting.rows_out == SEEDS


def checked(base_url: str, **changes: Any) -> list[EngineCheck]:
    return list(check_engines(run_to_be(minimal_recipe("unused", base_url, **changes), None)))


def test_every_api_is_checked_in_each_way_that_stages_ask_it() -> None:
    with serving() as api:
        found = checked(api.base_url)
    assert all(each.reachable and each.accepted and not each.error for each in found)
    assert {each.engine for each in found} == {"asker", "answerer", "judge"}
    settings = {setting for each in found for setting in each.settings}
    assert settings >= {"synthesize.ask", "synthesize.answer", "capo.sampling", "select.verdict"}
    answer = next(each for each in found if "synthesize.answer" in each.settings)
    assert set(answer.settings) >= {"synthesize.answer", "capo.sampling", "evaluate.answer"}
    assert answer.sent == ("max_completion_tokens", "seed", "temperature", "top_p")
    assert (answer.usage_reported, answer.thinks, answer.price_known) == (True, False, False)


def test_what_is_wrong_with_an_api_is_said_for_each() -> None:
    with serving(refusing("seed")) as api:
        refused = checked(api.base_url)
    assert {(each.reachable, each.accepted) for each in refused} == {(True, False)}
    assert all("'seed' is not known here" in each.error for each in refused)
    unreachable = checked("http://127.0.0.1:9/v1")
    assert {(each.reachable, each.accepted) for each in unreachable} == {(False, False)}
    assert {each.exit_code for each in unreachable} == {2}


def test_a_key_that_is_refused_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    engine = {"kind": "openai", "model": "m", "api_key_env": "SOME_KEY"}
    with serving(lambda *_: Reply(status=401, error={"message": "bad key sk-secret"})) as api:
        engines = {
            name: {**engine, "base_url": api.base_url} for name in ("asker", "answerer", "judge")
        }
        [first, *_] = checked(api.base_url, engines=engines)
    assert "sk-secret" not in first.error
    assert first.exit_code == KeyRefused.exit_code
