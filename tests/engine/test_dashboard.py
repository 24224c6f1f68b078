"""The dashboard in a real Chromium, over a run that is in progress through the real runner."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from playwright.sync_api import expect

from parrot_core.engines.limits.budget import Budget
from parrot_core.execution.runs import begin_run
from parrot_core.lake.reviews import Reviews, read_flagged
from tests.support.dashboard.browser import violations
from tests.support.dashboard.dashboards import enter
from tests.support.dashboard.scene import Scene, acting, drive_quietly
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import synthesis

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with acting(tmp_path_factory.mktemp("lake"), tmp_path_factory.mktemp("work")) as made:
        yield made


@pytest.fixture
def finished(scene: Scene) -> Scene:
    """The scene once its version is published: by the tests before, or, for one alone, here."""
    scene.finish()
    return scene


def test_a_run_in_progress_is_listed_and_its_numbers_move_without_a_reload(scene: Scene) -> None:
    page = scene.browser.page
    page.get_by_role("link", name=re.compile("^test")).click()
    expect(page).to_have_url(re.compile("/run/test$"))
    assert "token" not in page.url
    scene.worker.start()
    row = page.locator(".stage", has_text="synthesize")
    expect(row.locator(".chip")).to_have_text("running", timeout=10_000)
    page.evaluate("window.sameDocument = true")
    tokens = row.get_by_text(re.compile(r"\d tokens"))
    expect(tokens).to_be_visible(timeout=10_000)
    before = tokens.text_content()
    scene.api.let_go("q3?")
    expect(tokens).not_to_have_text(before or "", timeout=20_000)
    assert page.evaluate("window.sameDocument")


def test_a_run_is_paused_and_resumed_by_a_click(scene: Scene) -> None:
    page = scene.browser.page
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".note", has_text="paused by the dashboard")).to_be_visible()
    page.wait_for_timeout(3000)
    scene.api.let_go("q4?")
    page.wait_for_timeout(1000)
    assert scene.api.asked("q4?") <= 1  # what is out is answered, nothing new is sent
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".note", has_text="paused by")).to_be_hidden()
    for _ in range(300):
        if scene.api.asked("q4?") > 1:
            break
        page.wait_for_timeout(100)
    assert scene.api.asked("q4?") > 1


def test_the_newest_dialogues_and_rejects_are_read_before_their_shard_is_published(
    scene: Scene,
) -> None:
    page = scene.browser.page
    page.locator(".stage", has_text="synthesize").get_by_role("link").click()
    rows, rejects = page.locator(".tail .side").first, page.locator(".tail .side").last
    newest = rows.locator(".datum", has_text="q0?")
    newest.locator("summary").first.click(timeout=30_000)
    expect(newest.locator(".bubble.assistant").first).to_contain_text("And what about number")
    expect(rejects.locator(".datum")).to_have_count(1)
    expect(rejects.locator(".datum")).to_contain_text("engine 'answerer' cut the completion")
    expect(rejects.locator(".datum")).to_contain_text("s2")
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)  # somebody is at it
    lacking, published = violations(scene.browser), scene.lake.published
    early = published("dataset", "dialogues", scene.run.name)
    scene.api.let_go()
    assert (lacking, early) == ([], False)


def test_a_shard_in_quarantine_opens_with_its_error_and_is_released_after_a_question(
    scene: Scene,
) -> None:
    page = scene.browser.page
    expect(page.get_by_text("1 of these in quarantine")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("1 failed", exact=True)).to_be_visible()
    page.locator(".shard-grid").click(position={"x": 22, "y": 7})
    expect(page.get_by_role("heading", name="Shard 1")).to_be_visible()
    expect(page.get_by_text("HTTP 500").first).to_be_visible()
    expect(page.locator(".failures")).to_contain_text("1 shard of synthesize")
    assert violations(scene.browser) == []
    page.locator(".shard-grid").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name="Shard 0")).to_be_visible()
    expect(page.get_by_role("button", name="Retry 1 failed")).to_have_count(0)
    release = page.locator(".failures").get_by_role("button", name="Release and retry")
    release.click()
    page.get_by_role("button", name="Cancel").click()
    release.click()
    page.get_by_text("Change limits").click()
    page.get_by_label("engines.answerer.limits.concurrency").fill("3")
    dialog = page.locator(".dialog")
    expect(dialog).to_contain_text("1 shard of synthesize; all else is left alone.")
    expect(dialog).to_contain_text("parrot retry test --shard synthesize:1 --quarantined")
    expect(dialog).to_contain_text("May cost about $")
    scene.api.mend()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("Started.")).to_be_visible()


def test_a_hostile_dialogue_is_shown_as_text_and_does_nothing(scene: Scene) -> None:
    page = scene.browser.page
    for path in ("/data/dialogues/hostile", "/data/dialogues/hostile/0"):
        scene.browser.go(path)
        expect(page.get_by_text("<script>").first).to_be_visible(timeout=10_000)
    talk = page.locator(".talk")
    expect(talk).to_contain_text("![x](http://evil.example/x.png)")
    expect(talk).to_contain_text("⟨U+202E⟩gnp.exe⟨U+202C⟩⟨U+0000⟩⟨U+001B⟩[31m {{7*7}} ${7*7}")
    expect(talk.locator("img, svg, script, a")).to_have_count(0)
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("more characters)").first).to_be_visible()
    page.get_by_role("button", name=re.compile("^Show 200,000 of 2,000,000")).click()
    expect(page.get_by_text("1,800,000 more characters").first).to_be_visible(timeout=10_000)
    assert page.evaluate("window.owned") is None


def test_a_pair_shows_the_chosen_answer_beside_its_negatives(scene: Scene) -> None:
    page = scene.browser.page
    scene.browser.go("/data/preferences/hostile/1")
    expect(page.locator(".chosen")).to_contain_text("Very long.", timeout=10_000)
    expect(page.locator(".rejected")).to_have_count(3)
    expect(page.locator(".rejected").nth(1)).to_contain_text("the guess, by writer")
    expect(page.locator(".rejected").nth(2)).to_contain_text("the passage, by writer")
    expect(page.locator("aside")).to_contain_text("long, longer")  # of the dialogue it came from
    assert page.evaluate("window.owned") is None


def test_a_narrow_screen_scrolls_down_only_and_dark_is_dark(scene: Scene) -> None:
    page = scene.browser.page
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    for path in ("/", scene.path(), scene.path("/synthesize?shard=1"), "/data/dialogues/hostile/0"):
        scene.browser.go(path)
        page.wait_for_timeout(900)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 391, path
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background)[:3])) < 60


def test_the_retried_shard_is_done_and_the_version_published(scene: Scene) -> None:
    page = scene.browser.page
    page.set_viewport_size({"width": 1280, "height": 860})
    page.emulate_media(color_scheme="light")
    scene.browser.go(scene.path("/synthesize"))
    expect(page.get_by_text("2 done", exact=True)).to_be_visible(timeout=150_000)
    assert scene.lake.published("dataset", "dialogues", scene.run.name)
    link = page.get_by_role("link", name="Prefect", exact=True)  # of the server that retry started
    expect(link).to_be_visible(timeout=60_000)
    assert httpx.get(f"{link.get_attribute('href')}/api/health").json() is True


def test_dialogues_are_filtered_searched_read_and_followed_to_their_source(finished: Scene) -> None:
    page = finished.browser.page
    finished.browser.go("/data")
    page.locator("section", has_text="dialogues").get_by_role("link", name="test").first.click()
    expect(page.get_by_text("11 rows")).to_be_visible(timeout=10_000)
    page.get_by_label("Search all texts").fill("Q7?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 row", exact=True)).to_be_visible()
    page.locator("a.datum").click()
    expect(page.get_by_role("heading", name="1 of 1 found")).to_be_visible(timeout=10_000)
    expect(page.locator(".bubble.user").first).to_contain_text("q7?")
    expect(page.locator(".bubble.user").first).to_contain_text("a human, as recorded")
    expect(page.locator(".bubble.assistant").first).to_contain_text("answerer · m")
    expect(page.locator("mark").first).to_be_visible()
    expect(page.locator(".path")).to_contain_text("seeds test", timeout=10_000)
    page.go_back()
    expect(page.get_by_text("1 row", exact=True)).to_be_visible()


def test_conversations_are_filtered_by_what_a_check_found_in_them(scene: Scene) -> None:
    page = scene.browser.page
    scene.browser.go("/data/conversations/old")
    page.get_by_label("flags").click()
    page.get_by_role("option", name="code_only (5)").click()
    expect(page.get_by_text("5 rows", exact=True)).to_be_visible(timeout=10_000)
    expect(page.locator("a.datum").first).to_contain_text("code_only")


def test_marks_of_a_review_are_saved_and_exported_by_name(finished: Scene) -> None:
    page = finished.browser.page
    finished.browser.go(f"/review/dialogues/{finished.run.name}")
    expect(page.get_by_text("1 of 11")).to_be_visible(timeout=10_000)
    page.get_by_label("your name").fill("Ada")
    page.get_by_role("heading", name="Review").click()
    page.keyboard.press("f")  # goes on to the next row by itself
    expect(page.get_by_text("2 of 11 · 1 marked, 1 flagged")).to_be_visible()
    expect(page.get_by_text("Ada: 1 of 11 (0 keep, 1 flag, 0 unsure)")).to_be_visible()
    export = page.get_by_role("button", name="Export")
    export.hover()
    page.mouse.down()
    reviews = Reviews(finished.lake.storage, "dialogues", finished.run.name)
    (mark,) = reviews.marks()
    reviews.mark(mark.id, "unsure", datetime.now(UTC), "Cy")  # the page grows under the click
    expect(page.get_by_text("Cy: 1 of 11 (0 keep, 0 flag, 1 unsure)")).to_be_visible(timeout=10_000)
    page.mouse.up()
    expect(page.get_by_text("filter.flagged: test-flagged")).to_be_visible()
    assert (mark.by, read_flagged(finished.lake.storage, "test-flagged").ids) == ("Ada", (mark.id,))
    reviews.mark(mark.id, "keep", datetime.now(UTC), "Bob")  # seen live, beside her own
    expect(page.get_by_text("Ada and Bob agree on 0% of 1 row")).to_be_visible(timeout=10_000)
    assert violations(finished.browser) == []
    assert {each.by: each.verdict for each in reviews.marks()} == {
        "Ada": "flag",
        "Bob": "keep",
        "Cy": "unsure",
    }
    finished.browser.go(f"/review/dialogues/{finished.run.name}")  # where Ada stopped
    expect(page.get_by_text("2 of 11 · 1 marked")).to_be_visible(timeout=10_000)


def test_next_walks_through_what_was_found_and_a_bar_filters(scene: Scene) -> None:
    page = scene.browser.page
    scene.browser.go("/data/conversations/old?f.flags=code_only")
    page.locator("a.datum").nth(1).click(timeout=10_000)
    expect(page.get_by_role("heading", name="2 of 5 found")).to_be_visible(timeout=10_000)
    page.keyboard.press("j")
    expect(page.get_by_role("heading", name="3 of 5 found")).to_be_visible(timeout=10_000)
    page.get_by_role("button", name="Keep").click()  # as Ada, remembered; and on to the next
    expect(page.get_by_role("heading", name="4 of 5 found")).to_be_visible(timeout=10_000)
    scene.browser.go("/data/conversations/old")
    page.get_by_text("Distributions").click()
    page.locator(".facet", has_text="flags").get_by_role("button", name="code_only").click()
    expect(page.get_by_text("5 rows", exact=True)).to_be_visible(timeout=10_000)


def test_the_way_back_leads_to_where_one_was(scene: Scene) -> None:
    page = scene.browser.page
    page.set_viewport_size({"width": 900, "height": 400})
    scene.browser.go("/data/conversations/old")
    last = page.locator("a.datum").nth(11)
    last.scroll_into_view_if_needed(timeout=10_000)
    page.wait_for_timeout(300)
    was = page.evaluate("scrollY")
    assert was > 100
    last.click()
    expect(page.get_by_role("heading", name="Row 12 of 12")).to_be_visible(timeout=10_000)
    assert page.evaluate("scrollY") < was
    page.go_back()
    page.wait_for_function(f"Math.abs(scrollY - {was}) < 2", timeout=10_000)
    page.go_forward()  # at once: the place of the page before is not forced upon this one
    expect(page.get_by_role("heading", name="Row 12 of 12")).to_be_visible(timeout=10_000)
    page.evaluate("document.body.style.minHeight = '9000px'")
    page.wait_for_timeout(500)
    assert page.evaluate("scrollY") < was
    page.set_viewport_size({"width": 1280, "height": 860})


def test_a_text_is_rendered_safely_and_the_choice_is_remembered(scene: Scene) -> None:
    page = scene.browser.page
    scene.browser.go("/data/dialogues/hostile/0")
    page.get_by_role("button", name="rendered").click(timeout=10_000)
    expect(page.locator(".rendered").first).to_contain_text("![x](http://evil.example/x.png)")
    expect(page.locator(".talk").locator("img, svg, script, a, iframe")).to_have_count(0)
    scene.browser.go("/data/dialogues/hostile/2")
    expect(page.locator(".rendered").first).to_be_visible(timeout=10_000)
    page.get_by_role("button", name="as written").click()
    expect(page.locator(".bubble .text").first).to_have_attribute("dir", "auto")
    assert page.evaluate("window.owned") is None


def test_two_versions_stand_side_by_side(finished: Scene) -> None:
    page = finished.browser.page
    finished.browser.go(f"/data/dialogues/{finished.run.name}/0?beside=conversations@old")
    expect(page.locator(".side")).to_have_count(2, timeout=10_000)
    expect(page.locator(".side").nth(1)).to_contain_text("conversations old")
    expect(page.locator(".side .bubble.user").first).to_be_visible()


def test_an_open_page_outlives_a_restart_of_the_server(scene: Scene) -> None:
    page = scene.browser.page
    scene.browser.go(scene.path())
    expect(page.get_by_role("heading", name="test")).to_be_visible(timeout=10_000)
    page.evaluate("window.sameDocument = true")
    scene.served.stop()
    scene.served.start()
    page.wait_for_function("window.sameDocument === undefined", timeout=30_000)
    expect(page.get_by_role("heading", name="test")).to_be_visible(timeout=15_000)
    (scene.served.work / "dashboard-key").unlink()  # as a new password would do
    scene.served.stop()
    scene.served.start()
    expect(page.get_by_label("Password")).to_be_visible(timeout=30_000)
    enter(scene.browser, scene.served.entry)


def test_a_run_that_reached_its_budget_offers_to_raise_it_to_what_it_will_cost(
    scene: Scene,
) -> None:
    page = scene.browser.page
    inputs = {"conversations": "old", "parrot-ask": "old"}
    broke = synthesis(scene.lake.url, scene.api.base_url, name="broke", budget_usd=2, inputs=inputs)
    scene.api.let_go()
    worker = threading.Thread(target=drive_quietly, args=(broke, Budget(2.0)), daemon=True)
    worker.start()
    worker.join(timeout=60)
    scene.browser.go("/run/broke")
    expect(page.locator(".head .chip").first).to_have_text("budget reached", timeout=15_000)
    page.get_by_role("button", name="Raise the budget and resume").click()
    proposed = page.get_by_label("budget_usd")
    expect(proposed).not_to_have_value("2")
    page.get_by_role("button", name="Cancel").click()


def test_a_run_whose_worker_was_killed_is_stalled_and_can_only_be_resumed(scene: Scene) -> None:
    page = scene.browser.page
    code = (
        "import sys, time; from parrot_core.lake.lake import Lake; "
        "from parrot_core.lake.presence import Presence\n"
        "with Presence(Lake(sys.argv[1]).storage, 'killed', 'ingest'): time.sleep(60)"
    )
    begin_run(minimal_recipe(scene.lake.url, name="killed", budget_usd=5))
    worker = subprocess.Popen([sys.executable, "-c", code, scene.lake.url])
    scene.browser.go("/run/killed")
    expect(page.locator(".head .chip").first).to_have_text("starting", timeout=15_000)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    worker.kill()
    worker.wait()
    expect(page.locator(".head .chip").first).to_have_text("stalled", timeout=20_000)
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".dialog")).to_contain_text("of $5.00")
    page.get_by_role("button", name="Cancel").click()


def test_nothing_was_asked_of_anybody_else_and_no_script_failed(scene: Scene) -> None:
    assert scene.browser.elsewhere == []
    assert scene.browser.errors == []
