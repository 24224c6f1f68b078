"""A run in the terminal: progress, state, summary."""

import io
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from parrot_cli.run_view import LiveProgress, PlainProgress
from parrot_cli.status_view import render_status
from parrot_cli.summary import render_summary
from parrot_cli.version_view import render_version
from parrot_core.lake.lake import Lake
from parrot_core.monitor import read_run
from tests.support.lakes.finished_run import COINS, full_run
from tests.support.lakes.run_state import (
    NOW,
    RUN,
    STAGES,
    ago,
    begin,
    dialogue,
    failure,
    plan,
    progress,
    publish,
)


def console(*, terminal: bool = False, width: int = 120) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width, force_terminal=terminal, color_system=None), out


def shown(lake: Lake) -> str:
    target, out = console()
    target.print(render_status(read_run(lake, RUN, STAGES, NOW)))
    return out.getvalue()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    opened = Lake(str(tmp_path))
    begin(opened)
    return opened


def at_work(lake: Lake, done: int) -> None:
    plan(lake, "synthesize", [40])
    progress(lake, "synthesize", 0, done=done, total=40, started_at=ago(20), updated_at=ago(0))


def test_status_names_failed_shards_and_what_to_do(lake: Lake) -> None:
    plan(lake, "synthesize", [4])
    failure(
        lake,
        "synthesize",
        0,
        1,
        message="[red]no[/red] \x1b[2J",
        started_at=ago(9),
        ended_at=ago(5),
    )
    text = shown(lake)
    assert "synthesize shard 0 (1 attempt): EngineDied: [red]no[/red] ⟨U+001B⟩[2J" in text
    assert "parrot retry demo" in text
    assert "\x1b[2J" not in text


def test_status_shows_rate_and_time_left(lake: Lake) -> None:
    at_work(lake, 10)
    assert "10/40 30.0/min 1 min 00 s left" in " ".join(shown(lake).split())


def test_a_batch_that_is_waited_for_is_shown_before_anything_is_done(lake: Lake) -> None:
    plan(lake, "synthesize", [40])
    waiting = {"answerer": "waiting for batch batch_abc: 120/400 done"}
    progress(lake, "synthesize", 0, done=0, waiting=waiting, started_at=ago(9), updated_at=ago(0))
    target, out = console()
    PlainProgress(target).show(read_run(lake, RUN, STAGES, NOW), NOW)
    PlainProgress(target).show(read_run(lake, RUN, STAGES, NOW), NOW)
    assert "answerer: waiting for batch batch_abc: 120/400 done" in out.getvalue()
    assert "answerer: waiting for batch batch_abc" in shown(lake)


def test_status_of_a_silent_run_says_since_when(lake: Lake) -> None:
    plan(lake, "synthesize", [4])
    progress(lake, "synthesize", 0, done=1, started_at=ago(900), updated_at=ago(600))
    assert "No sign of life for 10 min 00 s" in shown(lake)


def test_without_a_terminal_each_change_is_one_line(lake: Lake) -> None:
    target, out = console()
    plain = PlainProgress(target)

    def look(seconds: float) -> None:
        now = NOW + timedelta(seconds=seconds)
        plain.show(read_run(lake, RUN, STAGES, now), now)

    look(0)
    assert out.getvalue() == ""
    at_work(lake, 1)
    for second in range(1, 10):
        look(second)
    assert out.getvalue().splitlines() == ["12:00:01 synthesize: running"]
    look(11)
    look(12)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2, "at most one line of progress every ten seconds"
    assert "synthesize: 1/40" in lines[1]
    publish(lake, "synthesize", [dialogue("d0", "s0", *COINS)])
    look(13)
    assert "synthesize: done, 1 session, 12 s" in out.getvalue().splitlines()[-1]


@pytest.mark.parametrize("terminal", [True, False])
def test_live_progress_shows_the_last_state_when_it_ends(lake: Lake, terminal: bool) -> None:
    target, out = console(terminal=terminal)
    with LiveProgress(lake, RUN, STAGES, console=target, now=lambda: NOW, poll_every_s=0.01):
        at_work(lake, 30)
    assert "synthesize" in out.getvalue()
    if terminal:
        assert "30/40" in out.getvalue()


def test_live_progress_can_be_quiet(lake: Lake) -> None:
    target, out = console(terminal=True)
    with LiveProgress(lake, RUN, STAGES, quiet=True, console=target):
        at_work(lake, 30)
    assert out.getvalue() == ""


def test_live_progress_outlives_a_lake_that_cannot_be_read_for_a_moment(lake: Lake) -> None:
    target, out = console()
    path = lake.storage.full(f"runs/{RUN}/run.json")
    good = Path(path).read_bytes()
    moments = iter(range(0, 10_000, 20))

    def later() -> datetime:
        return NOW + timedelta(seconds=next(moments))

    Path(path).write_bytes(b"{")
    with LiveProgress(lake, RUN, STAGES, console=target, now=later, poll_every_s=0.01):
        deadline = time.monotonic() + 5
        while "can't be read" not in out.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        Path(path).write_bytes(good)
        publish(lake, "synthesize")
    assert "can't be read" in out.getvalue()
    assert "synthesize: done" in out.getvalue()


def test_the_summary_holds_figures_samples_and_the_reports_path(tmp_path: Path) -> None:
    lake = full_run(tmp_path)
    target, out = console()
    render_summary(target, lake, read_run(lake, RUN, STAGES, NOW), "/lake/runs/demo/report.html")
    text = " ".join(out.getvalue().split())
    assert "parrot@demo 5 dialogues" in text
    assert "12 turns; 3 rejected" in text
    assert "Parrot-Ask, held out: loss 3.314 → 3.001" in text
    assert "reward margin 0.000 → 0.184" in text
    assert "3 preference pairs: 1 neglect, 1 hallucination, 1 misunderstanding" in text
    assert "the scores mean little" in text
    assert text.count("A dialogue of") == 1
    assert "Report: /lake/runs/demo/report.html" in text
    assert text.endswith("The real run: parrot plan paper")
    raw = ("margin_low", "margin_high", "_accuracy")
    assert not any(key in text for key in raw)


def test_the_summary_fits_a_screen_of_80_by_30_and_breaks_nothing(tmp_path: Path) -> None:
    lake = full_run(tmp_path / "lake")
    target, out = console(width=80)
    render_summary(target, lake, read_run(lake, RUN, STAGES, NOW), "/lake/runs/demo/report.html")
    lines = out.getvalue().splitlines()
    assert len(lines) <= 30
    assert all(len(line) <= 80 for line in lines if not line.startswith(("Lake:", "Report:")))


def test_hostile_dialogues_stay_text_in_the_summary(tmp_path: Path) -> None:
    evil = ("[bold red]hi[/] \x1b[31m\x07", "[link=http://x]y[/link] [/nonsense]\x00", "a", "b")
    lake = full_run(tmp_path, dialogues=[dialogue("[red]", "s0", *evil)])
    target, out = console()
    render_summary(target, lake, read_run(lake, RUN, STAGES, NOW), "r")
    assert "[bold red]hi[/] ⟨U+001B⟩[31m⟨U+0007⟩" in out.getvalue()
    assert "[/nonsense]⟨U+0000⟩" in out.getvalue()
    assert not {"\x1b", "\x07", "\x00"} & set(out.getvalue())


def test_the_summary_of_a_run_that_stopped_early_shows_what_there_is(lake: Lake) -> None:
    publish(lake, "synthesize", [dialogue("d0", "s0", *COINS)])
    target, out = console(width=80)
    render_summary(target, lake, read_run(lake, RUN, STAGES, NOW), "r")
    text = " ".join(out.getvalue().split())
    assert "Run demo: running" in text
    assert "not made: ingest, train-ask, seeds, filter" in text


def test_a_version_is_shown_with_accounts_and_rows(tmp_path: Path) -> None:
    version = full_run(tmp_path).dataset("parrot", RUN)
    target, out = console()
    target.print(render_version(version.manifest, version.url, [next(version.rows())]))
    text = " ".join(out.getvalue().split())
    assert "8 sessions in = 5 out + 3 rejected (repetitive 2, short 1)" in text
    assert '"content": "Which towns in Tuscany' in text


def test_status_shows_the_share_of_sessions_that_were_cut(lake: Lake) -> None:
    plan(lake, "synthesize", [40, 40])
    for shard, cut in ((0, 6), (1, 3)):
        figures = {"truncated": cut}
        times = {"started_at": ago(20), "updated_at": ago(0)}
        progress(lake, "synthesize", shard, done=30, total=40, figures=figures, **times)
    assert "15% cut at max_tokens" in shown(lake)
    for shard in (0, 1):  # a session with cut texts of both sides is counted for both
        progress(lake, "synthesize", shard, done=30, total=40, figures={"truncated": 60}, **times)
    assert "100% cut at max_tokens" in shown(lake)


def test_status_shows_how_many_prompts_a_model_has_scored_before_any_pair_is_done(
    lake: Lake,
) -> None:
    plan(lake, "capo", [12])
    times = {"started_at": ago(20), "updated_at": ago(0)}
    progress(lake, "capo", 0, done=0, total=12, figures={"scored": 1100}, **times)
    assert "1,100 prompts scored" in shown(lake)
