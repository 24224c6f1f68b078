from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from parrot_core.analysis.forecast.basis import measured
from parrot_core.engines.limits.limits import Budget
from parrot_core.engines.types import Completion, Message, Usage
from parrot_core.errors import UserError
from parrot_core.execution.runs import begin_run
from parrot_core.lake.manifest import Accounting
from parrot_core.lake.stage_plan import ShardPlan, Slice
from parrot_core.recipe import Sampling, Synthesize
from parrot_core.stages.base import Row
from parrot_core.stages.synthesis.stage import SynthesizeStage, _go_on
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.stage_work import FakeWork, small_recipe
from tests.support.lakes.toy_stages import SEEDS, SeedStage, drive, synthesis
from tests.support.servers.fake_api import Reply, echo_turns, serving


class Said:
    """A model that says the same always, of course with a new number."""

    def __init__(self, name: str, finish_reason: Any = "stop", **more: Any) -> None:
        self.name, self.model = name, f"{name}/m"
        self.asked: list[list[Message]] = []
        self._finish_reason = finish_reason
        self._more = more

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, sample: str
    ) -> Completion:
        self.asked.append(list(messages))
        text = f"{self.name} said this in {len(self.asked)}"
        usage = Usage(1, 9, 1)
        return Completion(
            text, self._finish_reason, usage, self.name, self.model, sample, **self._more
        )


def seed(number: int, **more: Any) -> Row:
    name = f"s{number}"
    return {"id": name, "source_ids": [name], "language": "en", "query": f"q{number}?", **more}


def work_of(
    tmp_path: Path,
    seeds: Sequence[Row],
    answerer: Said,
    asker: Said | None = None,
    **synthesize: Any,
) -> FakeWork:
    recipe = small_recipe(synthesize={"max_turns": 2, "min_turns": 1, **synthesize})
    work = FakeWork(
        recipe,
        tmp_path,
        plan=ShardPlan(0, (Slice("seeds", "v", 0, 0, len(seeds)),)),
        rows=seeds,
        engines={"asker": asker or Said("asker"), "answerer": answerer},
    )
    SynthesizeStage().process(work)
    work.assert_accounts_close()
    return work


def test_thinking_is_kept_in_a_column_of_its_own_beside_its_message(tmp_path: Path) -> None:
    work = work_of(tmp_path, [seed(1)], Said("answerer", thinking="Let me see."))
    [row] = work.emitted
    assert row["thinking"] == [None, "Let me see.", None, "Let me see."]
    assert len(row["thinking"]) == len(row["messages"]) == len(row["provenance"])
    assert "Let me see" not in str(row["messages"])


def test_only_the_answerer_gets_the_system_prompt_and_the_data_only_if_asked(
    tmp_path: Path,
) -> None:
    asker, answerer = Said("asker"), Said("answerer")
    work = work_of(tmp_path, [seed(1)], answerer, asker, system="Be brief.")
    assert [talk[0] for talk in answerer.asked] == [{"role": "system", "content": "Be brief."}] * 2
    assert all(message["role"] != "system" for talk in asker.asked for message in talk)
    assert [m["role"] for m in work.emitted[0]["messages"]] == ["user", "assistant"] * 2


def test_a_kept_system_prompt_is_the_dialogues_first_message(tmp_path: Path) -> None:
    work = work_of(tmp_path, [seed(1)], Said("answerer"), system="Be brief.", keep_system=True)
    [row] = work.emitted
    assert row["messages"][0] == {"role": "system", "content": "Be brief."}
    assert [len(row[name]) for name in ("messages", "provenance", "thinking")] == [5, 5, 5]
    assert row["n_turns"] == 2
    assert row["provenance"][2]["engine"] == "answerer"


def test_a_seed_may_bring_a_system_prompt_of_its_own(tmp_path: Path) -> None:
    answerer = Said("answerer")
    seeds = [seed(1, system="You are a pirate."), seed(2, system=None), seed(3, system=" ")]
    work = work_of(
        tmp_path,
        seeds,
        answerer,
        system="Be brief.",
        system_column="system",
        keep_system=True,
        sessions_in_flight=1,
    )
    prompts = [row["messages"][0]["content"] for row in work.emitted]
    assert prompts == ["You are a pirate.", "Be brief.", "Be brief."]
    assert [talk[0]["content"] for talk in answerer.asked[::2]] == prompts


def test_a_column_that_seeds_do_not_have_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    recipe = minimal_recipe(str(tmp_path), synthesize={"system_column": "persona"})
    run = begin_run(recipe)
    drive(run, SeedStage(1))
    with pytest.raises(UserError, match=r"seeds have no 'persona', but id, .*system"):
        SynthesizeStage().plan(run)


def test_a_session_whose_first_answer_is_cut_is_rejected_and_names_the_setting(
    tmp_path: Path,
) -> None:
    work = work_of(tmp_path, [seed(1)], Said("answerer", "length"), answer={"max_tokens": 9})
    [reject] = work.rejected
    assert reject["reason"] == "truncated"
    assert reject["detail"] == (
        "truncated after 0 of at least 1 turns; the answer of turn 1: cut at the limit of tokens, "
        "after 9 tokens (synthesize.answer.max_tokens = 9)"
    )
    assert work.metrics["truncated"] == {"answer": 1}
    assert work.metrics["end_reasons"] == {"truncated": 1}


def test_cut_texts_are_counted_where_the_recipe_keeps_them_too(tmp_path: Path) -> None:
    work = work_of(tmp_path, [seed(1), seed(2)], Said("answerer", "length"), keep_truncated=True)
    assert [row["n_turns"] for row in work.emitted] == [2, 2]
    assert work.metrics["truncated"] == {"answer": 2}


@pytest.mark.parametrize(("cut", "warns"), [(5, False), (6, True)])
def test_more_than_five_percent_cut_is_a_warning_that_names_the_setting(
    tmp_path: Path, cut: int, warns: bool
) -> None:
    run = begin_run(minimal_recipe(str(tmp_path), synthesize={"answer": {"max_tokens": 72}}))
    work = FakeWork(run.recipe, tmp_path)
    work.metric("truncated", {"answer": cut})
    accounts = Accounting(unit="session", rows_in=100)
    receipt = work.receipt("session").model_copy(update={"accounting": accounts})
    said = "; ".join(SynthesizeStage().warnings(run, [receipt]))
    assert (
        "6 of 100 sessions (6%)" in said and "synthesize.answer.max_tokens, now 72" in said
    ) == warns


def test_what_was_thought_and_cut_is_in_the_published_version(tmp_path: Path) -> None:
    def answer(number: int, body: dict[str, Any]) -> Reply:
        reply = echo_turns(number, body)
        cut = len(body["messages"]) == 5 and body["messages"][0]["content"] == "q3?"
        return Reply(reply.text, finish_reason="length" if cut else "stop")

    with serving(answer) as api:
        run = synthesis(tmp_path, api.base_url)
        manifest = drive(run, SynthesizeStage(), Budget(None))
    assert manifest.metrics["end_reasons"] == {"max_turns": SEEDS - 1, "truncated": 1}
    assert manifest.metrics["truncated"] == {"answer": 1}
    assert ["of 12 sessions (8%)" in warning for warning in manifest.warnings] == [True]
    basis = measured(run, 100)
    assert (basis.truncated.value, basis.truncated.source) == (
        pytest.approx(1 / SEEDS),
        "measured in dialogues@test",
    )
    ends = {
        row["id"]: (row["n_turns"], row["end_reason"])
        for row in run.lake.dataset("dialogues", "test").rows()
    }
    assert ends["s3"] == (2, "truncated")


def test_a_band_gives_each_session_a_length_of_its_own_and_the_same_again(tmp_path: Path) -> None:
    band = {"max_turns": 6, "turns_band": (2, 5)}
    seeds = [seed(n) for n in range(40)]
    lengths = [
        {
            row["id"]: row["n_turns"]
            for row in work_of(folder, seeds, Said("answerer"), **band).emitted
        }
        for folder in (tmp_path / "once", tmp_path / "again")
    ]
    assert lengths[0] == lengths[1]
    assert set(lengths[0].values()) == {2, 3, 4, 5}


def test_a_band_outside_the_turns_of_a_session_is_refused() -> None:
    with pytest.raises(UserError, match=r"turns_band \[1, 5\]"):
        small_recipe(synthesize={"min_turns": 2, "turns_band": (1, 5)})


def test_a_band_is_forecast_by_the_turns_that_sessions_reach() -> None:
    settings = Synthesize(max_turns=6, turns_band=(2, 5))
    alive, reached = 1.0, []
    for turn in range(1, 6):
        alive *= _go_on(settings, turn)
        reached.append(alive)
    assert reached == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4, 0])
    assert [_go_on(Synthesize(max_turns=3), turn) for turn in (1, 2, 3)] == [1, 1, 0]
