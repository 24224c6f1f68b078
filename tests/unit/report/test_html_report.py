"""The HTML report: complete, self-contained, and safe against what models write."""

import re
from pathlib import Path

import pytest

from parrot_core.errors import MissingRun
from parrot_core.lake.lake import Lake
from parrot_core.report.html_report import build_report
from tests.support.dashboard.page import Page
from tests.support.lakes.finished_run import COINS, WINTER, full_run
from tests.support.lakes.run_state import (
    ANSWERER,
    NOW,
    RUN,
    STAGES,
    Row,
    ago,
    begin,
    dialogue,
    failure,
    plan,
    progress,
    publish,
)
from tests.support.lakes.second_run import COMPARED, SECOND, compared_run, copied_run

HOSTILE = (
    "<script>alert(1)</script> ![pixel](http://evil.example/x.png) <img src=x onerror=alert(2)>",
    "\x00 null, \x1b[2J escape, \u202e reversed \u202c, </div></section></body> {{ 7 * 7 }}",
    "'\"><svg onload=alert(3)> <a href='javascript:alert(4)'>me</a>",
    "A" * 1_000_000,
)


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_report(full_run(tmp_path_factory.mktemp("lake")), RUN, STAGES, NOW)


def test_a_finished_run_shows_every_section_without_gaps(html: str) -> None:
    page = Page(html)
    sections = [a["id"] for tag, a in page.tags if tag == "section"]
    assert sections == [
        *("pipeline", "accounts", "cleaning", "training", "dialogues", "statistics", "pairs"),
        "evaluation",
        *("rejects", "lineage", "usage", "warnings", "recipe"),
    ]
    assert not [a for _, a in page.tags if a.get("class") == "none"]


def test_the_page_loads_nothing_and_runs_nothing(html: str) -> None:
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "base"}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")
        assert "src" not in attributes
    assert "url(" not in html.replace("url(#tip)", "")
    assert "@import" not in html
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html


def test_every_dataset_stage_is_accounted_for(html: str) -> None:
    page = Page(html)
    assert page.words.count("✓ closes") == len(STAGES)
    assert "language 9" in page.words


def test_accounts_that_do_not_close_are_called_out(tmp_path: Path) -> None:
    lake = full_run(tmp_path)
    path = f"datasets/parrot/{RUN}/manifest.json"
    manifest = lake.storage.read_json(path)
    manifest["accounting"]["rows_in"] += 2
    lake.storage.write_json(path, manifest)
    assert "✗ off by 2" in Page(build_report(lake, RUN, STAGES, NOW)).words


def test_held_out_losses_before_and_after_are_shown(html: str) -> None:
    words = Page(html).words
    assert "3.314" in words
    assert "3.001" in words
    assert "reward margin 0.000 0.184 +0.184" in words
    assert html.count('class="line tone-1"') >= 4


def test_who_wrote_each_message_is_said(html: str) -> None:
    words = Page(html).words
    assert "user , a human's opening query Which towns in Tuscany" in words
    assert "written by asker (lake:parrot-ask@demo)" in words
    assert f"written by answerer ({ANSWERER})" in words


def test_the_pair_shows_three_negatives_with_guess_and_passage(html: str) -> None:
    words = Page(html).words
    for part in ("Context neglect", "Context hallucination", "Context misunderstanding"):
        assert part in words
    assert "The guess “And in winter?” asks where to see northern lights" in words
    assert "The passage misread everything is within an hour by train" in words


def test_the_pair_leads_back_to_its_sharegpt_record(html: str) -> None:
    lineage = html[html.index('id="lineage"') : html.index('id="usage"')]
    chain = ["conversations", "seeds", "dialogues", "parrot", "context-queries", "preferences"]
    assert re.findall(r"<li><b>([a-z-]+)</b>", lineage) == chain
    assert "ShareGPT_V3_unfiltered_cleaned_split.json · record 0" in lineage


def test_a_small_judge_is_said_to_mean_little(html: str) -> None:
    assert "too small to judge well, so the scores mean little" in html


def test_hostile_dialogues_are_shown_as_inert_text(tmp_path: Path) -> None:
    sessions = [dialogue("<b>1</b>", "s0", *HOSTILE), dialogue("d1", "s1", *COINS)]
    html = build_report(full_run(tmp_path, dialogues=sessions), RUN, STAGES, NOW)
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert "<script>alert(1)</script> ![pixel](http://evil.example/x.png)" in page.words
    assert "⟨U+0000⟩ null, ⟨U+001B⟩[2J escape, ⟨U+202E⟩ reversed ⟨U+202C⟩" in page.words
    assert "{{ 7 * 7 }}" in page.words
    assert "(998,500 more characters)" in page.words
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", html)
    assert len(html) < 300_000


def test_a_run_that_has_just_begun_says_plainly_what_is_missing(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    words = Page(build_report(lake, RUN, STAGES, NOW)).words
    assert "No stage has published yet" in words
    assert "train-ask has not published a model" in words
    assert "No dialogues have been published in this run yet" in words
    assert "No preference pairs have been published" in words
    assert "No judgments have been published" in words


def test_a_failed_shard_is_named_with_its_error(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    plan(lake, "synthesize", [4, 4])
    progress(lake, "synthesize", 0, done=1, started_at=ago(9), updated_at=ago(1))
    failure(lake, "synthesize", 1, 1, message="<i>gone</i>", started_at=ago(9), ended_at=ago(5))
    words = Page(build_report(lake, RUN, STAGES, NOW)).words
    assert "synthesize, shard 1 failed at attempt 1: EngineDied: <i>gone</i>" in words


def test_what_cleaning_rules_did_is_shown_with_examples(html: str) -> None:
    text = Page(html).words
    assert "1,746" in text
    assert "Share Prompt" in text


def test_captions_stand_above_their_charts_and_cleaning_is_folded(html: str) -> None:
    assert html.count("<figure><figcaption>") == html.count("<figure")
    cleaning = html[html.index('<section id="cleaning">') :]
    assert cleaning.index("<details>") < cleaning.index("<table>") < cleaning.index("</details>")


def test_a_version_without_rows_leaves_its_section_plain(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    for stage in STAGES:
        publish(lake, stage.name)
    words = Page(build_report(lake, RUN, STAGES, NOW)).words
    assert "No preference pairs have been published" in words
    assert "No held-out figures" in words


def test_a_damaged_version_is_reported_and_the_rest_is_shown(tmp_path: Path) -> None:
    lake = full_run(tmp_path)
    lake.storage.write_bytes(
        f"datasets/judgments/{RUN}/shards/00000-0123456789ab-0.parquet", b"not parquet"
    )
    words = Page(build_report(lake, RUN, STAGES, NOW)).words
    assert WINTER[0] in words
    assert "No judgments" in words
    assert "judgments/demo/shards/00000-0123456789ab-0.parquet: expected SHA-256" in words


def test_an_unknown_run_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(MissingRun):
        build_report(Lake(str(tmp_path)), "nowhere", STAGES, NOW)


def test_outcomes_against_a_baseline_have_intervals_by_subject_turn_and_category(
    tmp_path: Path,
) -> None:
    html = build_report(compared_run(tmp_path), RUN, COMPARED, NOW)
    words = Page(html).words
    assert "Side by side with base" in words
    assert "Parrot-Chat 0.75 0.75 to 0.75 2 2 0" in words
    assert "turn 1 1.00 1.00 to 1.00 turn 2 0.50 0.50 to 0.50" in words
    assert 'aria-label="won 2, tied 2, lost 0"' in html


def test_without_a_baseline_nothing_is_said_of_one(html: str) -> None:
    assert "Side by side" not in html


def test_scores_by_category_are_a_radar_from_three_categories_on(html: str, tmp_path: Path) -> None:
    assert 'svg class="chart radar"' not in html  # two categories
    lake = full_run(tmp_path)

    def four(rows: list[Row]) -> list[Row]:
        for row in rows:
            row["category"] = f"category {row['source_ids'][0]}"
        return rows

    copied_run(lake, {"judgments": four})
    assert 'svg class="chart radar"' in build_report(lake, SECOND, STAGES, NOW)


def test_what_each_engine_took_is_summed_over_the_stages(html: str) -> None:
    words = Page(html).words[Page(html).words.index("By engine") :]
    assert "answerer SmolLM2-135M-Instruct 144 64,170 18,312 $0 -" in words
