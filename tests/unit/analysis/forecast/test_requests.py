"""What a run will take, before anything is spent."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from parrot_cli.forecast_view import render_forecast
from parrot_core.analysis.forecast.basis import measured
from parrot_core.analysis.forecast.requests import Expected, Forecast, forecast
from parrot_core.execution.runs import begin_run
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from parrot_core.recipe import load_recipe
from parrot_core.stages.forecasting import Basis, SourcedFigure
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.published import dialogue, publish
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import drive, synthesis
from tests.support.servers.fake_api import serving

PAPER = Path(__file__).parents[4] / "deployments/recipes/paper.yaml"


def planned(tmp_path: Path, *overrides: str) -> Forecast:
    recipe = load_recipe(PAPER, (*overrides, f"lake={json.dumps(str(tmp_path))}"))
    return forecast(Run("paper", recipe, Lake(str(tmp_path)), tmp_path), Basis())


def shown(found: Forecast) -> str:
    target = io.StringIO()
    Console(file=target, width=160, color_system=None).print(render_forecast(found))
    return target.getvalue()


def load_of(found: Forecast, stage: str, engine: str) -> Expected:
    return next(each for each in found.loads if (each.stage, each.engine) == (stage, engine))


def test_the_papers_recipe_comes_to_its_348_thousand_answers(tmp_path: Path) -> None:
    answers = load_of(planned(tmp_path), "synthesize", "answerer")
    assert answers.requests == pytest.approx(348_000, rel=0.01)


def test_growing_histories_are_paid_for_turn_by_turn(tmp_path: Path) -> None:
    exact = Basis(
        SourcedFigure(10, ""), SourcedFigure(10, ""), SourcedFigure(20, ""), SourcedFigure(1.0, "")
    )
    recipe = minimal_recipe(str(tmp_path), seeds={"limit": 1}, synthesize={"max_turns": 3})
    found = forecast(begin_run(recipe), exact)
    answers = load_of(found, "synthesize", "answerer")
    # 6 tokens frame the prompt and each message: 22, then 20 + 6 + 10 + 6 more a turn
    assert answers.prompt_tokens == 22 + 64 + 106
    assert answers.completion_tokens == 60
    questions = load_of(found, "synthesize", "asker")
    assert (questions.requests, questions.prompt_tokens) == (2, 48 + 90)


def test_rate_limits_bound_the_hours_and_are_named(tmp_path: Path) -> None:
    slow = planned(tmp_path, "engines.answerer.limits.requests_per_minute=100")
    answers = load_of(slow, "synthesize", "answerer")
    assert answers.bound == "100 requests/min"
    assert answers.hours == pytest.approx(348_572 / 100 / 60, rel=0.01)


def test_batches_are_cheaper_and_slower(tmp_path: Path) -> None:
    whole, half = planned(tmp_path), planned(tmp_path, "engines.answerer.batch={}")
    at_once = load_of(whole, "synthesize", "answerer")
    in_batches = load_of(half, "synthesize", "answerer")
    assert in_batches.usd == pytest.approx(at_once.usd / 2)
    assert in_batches.hours > at_once.hours


def test_the_papers_trainings_fit_its_gpus_and_take_hours(tmp_path: Path) -> None:
    found = planned(tmp_path)
    assert [each.stage for each in found.trainings] == ["train-ask", "train-sft", "train-dpo"]
    asker = found.trainings[0]
    assert (asker.devices, asker.strategy, asker.examples) == (8, "fsdp", 70_000)
    # 70 K sessions of 6.67 turns of 35 + 240 + 2 × 6 tokens, three times
    assert asker.tokens == pytest.approx(70_000 * 3 * 6.67 * 287, rel=1e-6)
    assert asker.hours == pytest.approx(
        6 * 13_015_864_320 * asker.tokens / (8 * 312e12 * 0.4) / 3600
    )
    text = shown(found)
    assert "8 fsdp" in text
    assert "model-FLOPs utilisation; not measured" in text
    assert "won't fit" not in text


def test_a_second_node_halves_a_trainings_hours_and_a_devices_share(tmp_path: Path) -> None:
    one = planned(tmp_path).trainings[0]
    two = planned(tmp_path, "train_ask.devices.nodes=2").trainings[0]
    assert two.devices == 16
    assert one.hours is not None
    assert two.hours is not None
    assert one.memory is not None
    assert two.memory is not None
    assert two.hours == pytest.approx(one.hours / 2)
    assert two.memory.optimiser == pytest.approx(one.memory.optimiser / 2)


def test_a_training_that_will_not_fit_is_said_before_it_runs_out_of_memory(tmp_path: Path) -> None:
    text = shown(planned(tmp_path, "train_ask.devices.strategy=ddp"))
    assert "train-ask won't fit into 80 GB" in text
    unknown = shown(planned(tmp_path, "train_ask.base=nobody/knows-this"))
    assert "The shape of nobody/knows-this isn't known on this machine" in unknown


def test_the_output_says_what_it_rests_on_and_whether_the_budget_suffices(tmp_path: Path) -> None:
    text = shown(planned(tmp_path))
    assert "assumed: chance of a next turn" in text
    assert "budget_usd $2,000.00 suffices" in text
    assert "is reached before the end" in shown(planned(tmp_path, "budget_usd=100"))
    unknown = planned(tmp_path, "engines.answerer.model=new", "engines.answerer.price=null")
    assert "No price is known for answerer" in shown(unknown)
    assert json.dumps(unknown.to_json(), default=str)


def test_there_are_no_more_seeds_than_sessions_to_take_them_from(tmp_path: Path) -> None:
    sessions = [dialogue(f"s{n}", ["a question?", "an answer"]) for n in range(3)]
    publish(Lake(str(tmp_path)), "conversations", sessions, version="paper")
    assert planned(tmp_path).seeds == 3
    assert planned(tmp_path, "seeds.limit=2").seeds == 2


def test_lengths_are_measured_where_the_lake_has_some(tmp_path: Path) -> None:
    with serving() as api:
        run = synthesis(tmp_path, api.base_url)
        before = forecast(run, measured(run, 100))
        drive(run, SynthesizeStage())
    assert before.seeds == 12
    assert before.basis.first_query.source == "measured in seeds@test"
    assert before.basis.answer.source.startswith("assumed")
    basis = measured(run, 100)
    assert basis.answer.source == basis.follow_up.source == "measured in dialogues@test"
    assert basis.goes_on.value == pytest.approx(1.0)
    after = forecast(run, basis)
    states = {stage.stage: stage.state for stage in after.stages}
    assert states["synthesize"] == "published"
    assert states["select"] == "to do"
