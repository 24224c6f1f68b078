"""Finished runs in a real Chromium: a lake on S3, shown read-only, without a Prefect server."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from parrot_core.analysis.statistics.versions import statistics_of
from parrot_core.lake.lake import Lake
from tests.support.dashboard.browser import Browser, browsing, executable, violations
from tests.support.dashboard.dashboards import dashboard, enter
from tests.support.lakes.run_state import Row
from tests.support.lakes.second_run import SECOND, compared_run, copied_run
from tests.support.servers.s3_server import s3_server, use_s3

pytestmark = pytest.mark.engine

URL = "s3://lake/finished"
PAGES = (
    *("/", "/run/demo", "/run/demo/synthesize", "/data", f"/data/dialogues/{SECOND}?q=winter"),
    *("/data/dialogues/demo/0", "/data/preferences/demo/0", "/data/comparisons/demo/0"),
    *("/data/parrot/demo?part=rejects", f"/data/parrot/{SECOND}?vs=demo&differ=changed"),
    *("/review/parrot/demo", f"/quality/{SECOND}", f"/compare?runs=demo,{SECOND}"),
)
TOPICS = ("snow, winter, cold", "coin, rome, silver")


@dataclass
class Scene:
    """What all tests of this module look at."""

    browser: Browser
    lake: Lake
    files: tuple[str, ...]  # of the lake before anybody looked


def _with_topics(rows: list[Row]) -> list[Row]:
    return [{**row, "topic": TOPICS[place % 2]} for place, row in enumerate(rows)]


def _shorter(rows: list[Row]) -> list[Row]:
    """The first turn of each session: what the statistics must call a drift."""
    return [
        {**row, "messages": row["messages"][:2], "provenance": None, "n_turns": 1} for row in rows
    ]


def _two_runs(folder: Path) -> None:
    """Two finished runs with their statistics; the second's sessions are shorter."""
    lake = compared_run(folder)
    copied_run(lake, {"dialogues": _with_topics, "parrot": _shorter})
    for run in ("demo", SECOND):
        statistics_of(lake, f"parrot@{run}", human_set="")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    executable()
    local, work, disk = (tmp_path_factory.mktemp(name) for name in ("local", "work", "s3"))
    _two_runs(local)
    with pytest.MonkeyPatch.context() as patch, s3_server(disk) as endpoint:
        use_s3(patch, endpoint)
        lake = Lake(URL)
        for path in filter(Path.is_file, local.rglob("*")):
            lake.storage.write_bytes(path.relative_to(local).as_posix(), path.read_bytes())
        files = tuple(lake.storage.list(""))
        with (
            dashboard(URL, work, "--read-only") as served,
            browsing(served.base) as browser,
        ):
            enter(browser, served.entry)
            yield Scene(browser, lake, files)


def test_the_runs_of_a_lake_on_s3_are_listed_as_read_only(scene: Scene) -> None:
    page = scene.browser.page
    run = page.get_by_role("link", name=re.compile("^demo"))
    expect(run).to_contain_text("11 of 12 stages", timeout=20_000)
    expect(page.locator("header").get_by_text("read-only")).to_be_visible()


def test_the_keyboard_alone_leads_from_the_runs_to_a_stage_and_its_focus_is_seen(
    scene: Scene,
) -> None:
    page = scene.browser.page
    scene.browser.go("/")
    for name in (f"^{SECOND}", "^synthesize$"):
        link = page.get_by_role("link", name=re.compile(name))
        expect(link).to_be_visible(timeout=9000)
        for _ in range(30):
            page.keyboard.press("Tab")
            if link.evaluate("e => e === document.activeElement"):
                break
        assert link.evaluate("e => getComputedStyle(e).outlineStyle") == "solid", name
        page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/run/{SECOND}/synthesize$"))


def test_statistics_stand_beside_the_run_before_and_a_drift_is_marked(scene: Scene) -> None:
    page = scene.browser.page
    scene.browser.go(f"/quality/{SECOND}")
    panel = page.locator("section", has=page.get_by_role("heading", name="Statistics of parrot"))
    expect(panel).to_contain_text("beside parrot@demo", timeout=9000)
    moved = panel.locator("tr", has_text="turns a session").first
    expect(moved).to_contain_text("beyond both intervals")
    expect(moved).to_have_class("marked")
    expect(panel.locator(".plots .key", has_text="parrot@demo").first).to_be_visible()
    scene.browser.go("/quality/demo")
    expect(panel).to_contain_text("as parrot stats measures them.", timeout=9000)
    expect(panel.locator("tr.marked")).to_have_count(0)


def test_training_curves_scores_and_comparisons_are_shown(scene: Scene) -> None:
    page = scene.browser.page
    scene.browser.go("/quality/demo")
    training = page.locator("section", has=page.get_by_role("heading", name="train-dpo"))
    expect(training).to_contain_text("0.693 → 0.610", timeout=9000)
    expect(training.locator("svg.chart").first).to_be_visible()
    scores = page.locator("section", has=page.get_by_role("heading", name="Evaluation", exact=True))
    expect(scores.locator("tr", has_text="Parrot-Chat").first).to_be_visible()
    against = page.locator(
        "section", has=page.get_by_role("heading", name="Comparisons", exact=True)
    )
    expect(against).to_contain_text("2 won, 2 tied, 0 lost")


def test_a_comparison_shows_both_answers_and_both_verdicts(scene: Scene) -> None:
    page = scene.browser.page
    scene.browser.go("/data/comparisons/demo/0")
    expect(page.locator(".verdict")).to_have_count(2, timeout=9000)
    expect(page.locator(".chosen")).to_contain_text("preferred")


def test_rows_are_filtered_by_topic_and_asked_of_another_run(scene: Scene) -> None:
    page = scene.browser.page
    scene.browser.go(f"/data/dialogues/{SECOND}")
    page.get_by_label("topic").click(timeout=9000)
    page.get_by_role("option", name=re.compile(TOPICS[1])).click()
    expect(page.get_by_text("2 rows", exact=True)).to_be_visible()
    expect(page.locator("a.datum")).to_have_count(2)
    expect(page).to_have_url(re.compile("f.topic=coin"))
    page.get_by_label("turns from").fill("99")
    expect(page.get_by_text("0 rows", exact=True)).to_be_visible()
    page.get_by_label("turns from").fill("")
    page.get_by_label("run", exact=True).click()
    page.get_by_role("option", name="demo").click()
    expect(page.get_by_role("heading", name="dialogues demo")).to_be_visible()


def test_a_row_is_opened_by_the_keyboard_and_followed_by_j_and_k(scene: Scene) -> None:
    page = scene.browser.page
    scene.browser.go("/data/parrot/demo")
    page.locator("a.datum").first.focus(timeout=9000)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Row 1 of 5")).to_be_visible(timeout=9000)
    page.keyboard.press("j")
    expect(page.get_by_role("heading", name="Row 2 of 5")).to_be_visible(timeout=9000)
    page.keyboard.press("k")
    expect(page.get_by_role("heading", name="Row 1 of 5")).to_be_visible(timeout=9000)


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/run/demo", "Stages"),
        ("/run/demo/synthesize", "not been planned|made by another run|shard"),
        ("/data/parrot/demo/0", "not reviewed"),
        ("/review/parrot/demo", "this dashboard is read-only"),
    ],
)
def test_nothing_that_acts_is_offered(scene: Scene, path: str, seen: str) -> None:
    page = scene.browser.page
    scene.browser.go(path)
    expect(page.get_by_text(re.compile(seen)).first).to_be_visible(timeout=9000)
    page.wait_for_timeout(1200)
    acting = re.compile("Retry|Pause|Resume|Keep|Flag|Export")
    expect(page.get_by_role("button", name=acting)).to_have_count(0)


def test_keys_and_forged_events_change_nothing(scene: Scene) -> None:
    page = scene.browser.page
    scene.browser.go("/review/parrot/demo")
    expect(page.get_by_text("1 of 5", exact=False)).to_be_visible(timeout=9000)
    page.keyboard.press("f")
    page.keyboard.press("j")
    expect(page.get_by_text("2 of 5 · 0 marked")).to_be_visible(timeout=9000)
    sent = page.evaluate(
        """() => { for (let id = 0; id < 400; id++)
             window.socket.emit("event", {id, client_id: window.clientId, listener_id: "x",
                                          args: [], type: "click"}); return true }"""
    )
    assert sent
    page.keyboard.press("k")
    expect(page.get_by_text("1 of 5 · 0 marked")).to_be_visible(timeout=9000)
    assert tuple(scene.lake.storage.list("")) == scene.files


def test_a_comparison_leads_to_all_rows_that_differ_and_each_to_what_it_was(scene: Scene) -> None:
    page = scene.browser.page
    scene.browser.go(f"/compare?runs=demo,{SECOND}")
    part = page.locator(".part", has=page.get_by_role("heading", name="parrot", exact=True))
    changed = part.get_by_role("link", name=re.compile(r"\d changed"))
    number = int((changed.text_content(timeout=9000) or "").split()[0])
    changed.click()
    expect(page.get_by_text("Rows that were changed, against version demo.")).to_be_visible(
        timeout=9000
    )
    expect(page.locator("a.datum")).to_have_count(number)
    page.locator("a.datum").first.click()
    expect(page.get_by_role("heading", name=f"1 of {number} found")).to_be_visible(timeout=9000)
    expect(page.locator(".side")).to_have_count(2)


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_in_light_or_dark_and_a_phone_needs_no_sideways_scroll(
    scene: Scene, path: str
) -> None:
    page = scene.browser.page
    page.set_viewport_size({"width": 1280, "height": 860})
    scene.browser.go(path)
    expect(page.get_by_role("heading").first).to_be_visible(timeout=9000)
    page.wait_for_timeout(1500)
    assert violations(scene.browser) == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 391


def test_every_page_has_a_title_a_language_and_a_way_past_its_head(scene: Scene) -> None:
    page = scene.browser.page
    for path, title in {"/": "Runs", "/data": "Data", "/run/demo": "demo"}.items():
        scene.browser.go(path)
        expect(page).to_have_title(f"{title} · Parrot Factory")
    assert page.evaluate("document.documentElement.lang") == "en-US"
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_nothing_was_asked_of_anybody_else_and_no_script_failed(scene: Scene) -> None:
    assert scene.browser.elsewhere == []
    assert scene.browser.errors == []
