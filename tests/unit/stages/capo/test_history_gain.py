"""What the history adds, by a model's likelihoods, decides which queries and pairs go on."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from parrot_core.errors import RunStopped
from parrot_core.recipe import HistoryGain
from parrot_core.stages.capo import history_gain
from parrot_core.stages.capo.history_gain import HistoryGains
from parrot_core.stages.capo.stage import CapoStage
from parrot_core.stages.likelihoods import LikelihoodRequest
from parrot_core.telemetry.progress import ProgressReporter
from tests.support.lakes.scripted_model import ScriptedModel
from tests.support.lakes.stage_work import FakeWork, small_recipe

HISTORY = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is the Eiffel Tower?"},
    {"role": "assistant", "content": "An iron tower in Paris."},
]


def query(name: str) -> dict[str, object]:
    return {
        "id": name,
        "language": "en",
        "turn": 2,
        "history": HISTORY,
        "query": "How tall is it?",
        "response": f"{name} is 330 metres tall.",
        "response_finish_reason": "stop",
    }


def capo(
    folder: Path, monkeypatch: pytest.MonkeyPatch, gains: dict[str, float], **settings: float
) -> tuple[FakeWork, ScriptedModel, list[LikelihoodRequest]]:
    """A model to which the chosen answer, and a negative's margin, gain what ``gains`` says."""
    asked: list[LikelihoodRequest] = []

    def score(_: object, requests: Iterable[LikelihoodRequest], *__: object) -> dict[str, object]:
        found: dict[str, object] = {}
        for request in requests:
            asked.append(request)
            name, _, prompt = request.id.rpartition("/")
            words = [answer[0]["content"].split()[0] for answer in request.answers]
            own = prompt == "own"
            each = [(2 * (gains[word] if own else 0.0) - 4.0, 2) for word in words]
            found[request.id] = None if gains[name] > 90 else each
        return found

    monkeypatch.setattr(history_gain, "scores_of", score)
    writer = ScriptedModel(lambda _, sample: f"n{sample[1]} is as tall as a giraffe.")
    named = {"model": str(folder), **settings}
    recipe = small_recipe(capo={"strategies": ["neglect"], "history_gain": named})
    rows = [query(name) for name in gains if name.startswith("q")]
    work = FakeWork(recipe, folder, rows=rows, engines={"answerer": writer})
    CapoStage().process(work)
    work.assert_accounts_close()
    return work, writer, asked


def test_a_query_without_gain_buys_no_negative_and_a_margin_without_gain_makes_no_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gains = {"q0": 0.0, "q1": 0.5, "n1": 0.9, "q2": 0.5, "n2": 0.1, "q3": 99.0, "n3": 0.0}
    work, writer, asked = capo(tmp_path, monkeypatch, gains)
    assert {row["id"]: row["reason"] for row in work.rejected} == {
        "q0:neglect": "history_adds_little",
        "q1:neglect": "margin_without_history",
    }
    assert "q0/neglect/answer" not in writer.samples
    kept = {row["id"]: (row["history_gain"], row["margin_gain"]) for row in work.emitted}
    assert kept == {"q2:neglect": (0.5, pytest.approx(0.4)), "q3:neglect": (None, None)}
    alone = next(request for request in asked if request.id == "q2/alone")
    assert [m["content"] for m in alone.prompt] == ["Be brief.", "How tall is it?"]
    metrics = CapoStage().summarise(work.run, [work.receipt("pair")])
    assert metrics is not None
    assert metrics["history_gain"] == round(1 / 3, 4)
    assert metrics["margin_gain"] == {"neglect": pytest.approx(0.4)}


def test_a_stop_is_heeded_while_a_model_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(*arguments: object) -> dict[str, object]:
        *_, reporter = arguments
        assert isinstance(reporter, ProgressReporter)
        reporter.progress(1)
        raise AssertionError("it went on")

    class Stopped(FakeWork):
        def progress(self, done: int, total: int | None = None, **figures: float) -> None:
            assert (done, total, figures) == (0, 1, {"scored": 1})
            raise RunStopped("cancelled")

    monkeypatch.setattr(history_gain, "scores_of", score)
    named = {"model": str(tmp_path)}
    recipe = small_recipe(capo={"strategies": ["neglect"], "history_gain": named})
    with pytest.raises(RunStopped):
        CapoStage().process(Stopped(recipe, tmp_path, rows=[query("q0")]))


def test_of_the_queries_that_gain_enough_a_share_goes_on_those_that_gain_most() -> None:
    gains = {"a": 0.1, "b": 0.4, "c": 0.3, "d": 0.2, "e": -1.0}
    half = HistoryGains(HistoryGain(min=0.0, share=0.5), "m", Path())
    assert half.enough(gains) == {"b", "c"}
    assert half.enough({}) == set()


def test_a_model_of_the_lake_is_an_input() -> None:
    recipe = small_recipe(capo={"history_gain": {}})
    run = FakeWork(recipe, Path()).run
    assert CapoStage().reads(run) == ("context-queries", "parrot-sft")
