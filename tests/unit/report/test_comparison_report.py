"""The comparison of runs: one page that loads nothing, whatever the runs hold or lack."""

import re
from pathlib import Path

import pytest

from parrot_core.analysis.comparison.side_by_side import compare_runs
from parrot_core.errors import MissingRun, UserError
from parrot_core.lake.lake import Lake
from parrot_core.report.comparison_report import build_comparison
from tests.support.dashboard.page import Page
from tests.support.lakes.finished_run import full_run
from tests.support.lakes.run_state import NOW, RECIPE, RUN, STAGES, Row, begin, dialogue
from tests.support.lakes.second_run import COMPARED, SECOND, compared_run, copied_run

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}\u202e"


def better(rows: list[Row]) -> list[Row]:
    for row in rows:
        row["score"] += float(row["subject"] == "Parrot-Chat")
    return rows


def fewer(rows: list[Row]) -> list[Row]:
    return rows[:3]


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    lake = compared_run(tmp_path_factory.mktemp("lake"))
    recipe = {**RECIPE, "train_dpo": {"beta": 0.2}}
    copied_run(lake, {"judgments": better, "parrot": fewer}, recipe=recipe)
    copied_run(lake, name="third", leave_out=("evaluate", "train-dpo"))
    return build_comparison(lake, [RUN, SECOND, "third"], COMPARED, NOW)


def section(html: str, id: str) -> str:
    start = html.index(f'<section id="{id}"')
    part = html[start : html.index("</section>", start)]
    return " ".join(re.sub("<[^>]*>", " ", part).split())


def test_every_section_has_something_to_say(html: str) -> None:
    page = Page(html)
    assert [a["id"] for tag, a in page.tags if tag == "section"] == [
        *("runs", "settings", "accounts", "data", "training", "scores", "wins", "cost")
    ]
    assert not [a for _, a in page.tags if a.get("class") == "none"]


def test_the_page_loads_nothing_and_runs_nothing(html: str) -> None:
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "base"}
    assert all("src" not in a and (a.get("href") or "#").startswith("#") for _, a in page.tags)
    assert "default-src 'none'" in html


def test_only_settings_that_differ_are_shown(html: str) -> None:
    assert section(html, "settings").endswith("train_dpo.beta - 0.2 -")


def test_counts_stand_beside_each_other_with_what_changed(html: str) -> None:
    assert "filter parrot 5 3 -2 5" in section(html, "accounts")


def test_scores_are_compared_answer_by_answer_with_the_first_run(html: str) -> None:
    words = section(html, "scores")
    assert "+1.00 +1.00 to +1.00 12" in words
    assert "third - -" in words


def test_curves_of_all_runs_lie_over_each_other(html: str) -> None:
    chart = html[html.index("Training loss of Parrot-Ask over steps") :]
    chart = chart[: chart.index("</svg>")]
    for place in (1, 2, 3):
        assert f'polyline class="line tone-{place}"' in chart


def test_win_rates_are_shown_with_the_run_they_are_from(html: str) -> None:
    assert "Parrot-Chat demo, against base 0.75 0.75 to 0.75 4" in section(html, "wins")


def test_different_judges_are_pointed_out(tmp_path: Path) -> None:
    def judged_by_another(rows: list[Row]) -> list[Row]:
        for row in rows:
            row["judge_model"] = "gpt-4"
        return rows

    lake = full_run(tmp_path)
    copied_run(lake, {"judgments": judged_by_another})
    words = section(build_comparison(lake, [RUN, SECOND], STAGES, NOW), "scores")
    assert "judged by different models" in words


def test_what_runs_say_is_shown_and_never_run(tmp_path: Path) -> None:
    def hostile(rows: list[Row]) -> list[Row]:
        for row in rows:
            row["subject"] = row["category"] = HOSTILE
        return rows

    lake = full_run(tmp_path, dialogues=[dialogue("d0", "s0", HOSTILE, "a", "b", "c")])
    recipe = {**RECIPE, "description": HOSTILE, HOSTILE: {HOSTILE: HOSTILE}}
    copied_run(lake, {"judgments": hostile}, recipe=recipe)
    html = build_comparison(lake, [RUN, SECOND], STAGES, NOW)
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert "<script>alert(1)</script>" in page.words
    assert "{{ 7 * 7 }}" in page.words
    assert "\u202e" not in html


def test_runs_that_have_just_begun_are_compared_too(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    begin(lake, SECOND)
    words = Page(build_comparison(lake, [RUN, SECOND], STAGES, NOW)).words
    assert "No run has published a dataset yet" in words
    assert "No run has published judgments yet" in words


def test_a_damaged_version_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    lake = full_run(tmp_path)
    copied_run(lake, {"judgments": better})
    lake.storage.write_bytes(
        f"datasets/judgments/{SECOND}/shards/00000-0123456789ab-0.parquet", b"not parquet"
    )
    words = Page(build_comparison(lake, [RUN, SECOND], STAGES, NOW)).words
    assert "expected SHA-256" in words
    assert "answer characters" in words


@pytest.mark.parametrize("names", [[RUN], [RUN, RUN]])
def test_it_takes_two_different_runs(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(UserError):
        compare_runs(full_run(tmp_path), names, STAGES, NOW)


def test_an_unknown_run_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(MissingRun):
        compare_runs(full_run(tmp_path), [RUN, "nowhere"], STAGES, NOW)
