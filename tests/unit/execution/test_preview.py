from pathlib import Path
from typing import Any

import pytest

from parrot_core.engines.types import Completion
from parrot_core.errors import UserError
from parrot_core.execution.preview import preview
from parrot_core.execution.selection import run_to_be
from parrot_core.lake.lake import Lake
from parrot_core.monitor.reader import list_runs
from parrot_core.stages.base import Row
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SEEDS, drive, synthesis
from tests.support.servers.fake_api import canonical, serving


class Seen:
    """A viewer that keeps what it is shown, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def begins(self, row: Row) -> None:
        self.events.append(("begins", row["query"]))

    def said(self, sample: str, engine: str, completion: Completion) -> None:
        self.events.append(("said", sample))

    def made(self, row: Row) -> None:
        self.events.append(("made", row["id"]))

    def refused(self, reject: Row) -> None:
        self.events.append(("refused", reject["reason"]))


def test_a_preview_shows_each_text_as_it_is_written_and_publishes_nothing(tmp_path: Path) -> None:
    with serving() as api:
        run = synthesis(tmp_path, api.base_url)
        seen = Seen()
        done = preview(run, "synthesize", 2, seen)
    assert [row["n_turns"] for row in done.rows] == [4, 4]
    texts = ["t1/answer", "t2/ask", "t2/answer", "t3/ask", "t3/answer", "t4/ask", "t4/answer"]
    first = [("begins", "q0?"), *(("said", f"s0/{text}") for text in texts), ("made", "s0")]
    assert seen.events[:9] == first
    assert not run.lake.published("dataset", "dialogues", "test")
    assert run.lake.storage.list("runs/test/synthesize") == []
    assert (done.bought, sum(used.requests for used in done.usage.values())) == (14, 14)


def test_what_a_preview_bought_is_not_bought_again_but_counted_by_the_run(tmp_path: Path) -> None:
    with serving() as api:
        run = synthesis(tmp_path, api.base_url)
        preview(run, "synthesize", 2, Seen())
        again = preview(run, "synthesize", 3, Seen())
        assert again.bought == 7  # of the third row
        shown = {canonical(body) for body in api.requests}
        assert len(api.requests) == 21
        api.requests.clear()
        manifest = drive(run, SynthesizeStage())
    assert not shown & {canonical(body) for body in api.requests}
    assert len(api.requests) == SEEDS * 7 - 21
    assert sum(used.requests for used in manifest.usage.values()) == SEEDS * 7


def test_a_preview_begins_no_run_and_its_recipe_may_change(tmp_path: Path) -> None:
    with serving() as api:
        recipe = minimal_recipe(str(tmp_path), api.base_url)
        preview(run_to_be(recipe, None), "synthesize", 1, Seen(), ["How old is Rome?"])
    assert list_runs(Lake(str(tmp_path))) == ()


def test_given_openings_need_no_seeds(tmp_path: Path) -> None:
    with serving() as api:
        shape = {"max_turns": 2, "min_turns": 1, "system": "Be brief."}
        recipe = minimal_recipe(str(tmp_path), api.base_url, synthesize=shape)
        openings = ["How old is Rome?", "And Athens?"]
        done = preview(run_to_be(recipe, None), "synthesize", 3, Seen(), openings)
    assert [row["messages"][0]["content"] for row in done.rows] == openings
    assert api.requests[0]["messages"][0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("stage", "openings", "said"),
    [
        ("ingest", [], "expected a stage of synthesize, select, capo, evaluate"),
        ("capo", ["Why?"], "'capo' makes none"),
        ("synthesize", [], "seeds"),
    ],
)
def test_what_can_not_be_previewed_is_said_before_anything_is_bought(
    tmp_path: Path, stage: str, openings: list[str], said: str
) -> None:
    run = run_to_be(minimal_recipe(str(tmp_path)), None)
    with pytest.raises(UserError, match=said):
        preview(run, stage, 1, Seen(), openings)


def test_verdicts_of_a_benchmark_are_previewed_subject_by_subject(tmp_path: Path) -> None:
    evaluate: dict[str, Any] = {
        "subjects": {"one": "answerer", "two": "asker"},
        "judge": "judge",
        "max_turns": 1,
    }
    with serving() as api:
        recipe = minimal_recipe(str(tmp_path), api.base_url, evaluate=evaluate)
        seen = Seen()
        done = preview(run_to_be(recipe, None), "evaluate", 1, seen)
    assert [row["subject"] for row in (*done.rows, *done.rejects)] == ["one", "two"]
    answers = [what for kind, what in seen.events if kind == "said" and what.endswith("/answer")]
    assert [what.split("/")[0] for what in answers] == ["one", "two"]
