"""The report as Markdown: what a run came to, and nothing that its texts could make of it."""

from html import escape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.analysis.results.findings import gather
from parrot_core.errors import MissingRun
from parrot_core.lake.lake import Lake
from parrot_core.report.html_report import render_report
from parrot_core.report.markdown_report import build_markdown, plain, render_markdown
from parrot_core.stages.evaluation.sessions import SINGLE_TURN, session_figures
from parrot_core.stages.evaluation.summary import Judged
from tests.support.lakes.run_state import NOW, RUN, STAGES, ago, begin, failure, plan, progress
from tests.support.lakes.second_run import COMPARED, compared_run

HOSTILE = "<script>alert(1)</script> ![x](http://evil.example/x.png) | **bold**\n# head"


def rendered(markdown: str) -> str:
    from markdown_it import MarkdownIt

    return str(
        MarkdownIt("commonmark", {"linkify": False})
        .enable(["table", "strikethrough"])
        .render(markdown)
    )


def test_it_holds_accounts_scores_win_rates_cost_reasons_and_warnings(tmp_path: Path) -> None:
    text = build_markdown(compared_run(tmp_path), RUN, COMPARED, NOW)
    for line in (
        "# Run demo",
        "| ingest | 53 | 40 | 13 | yes |",
        "| Parrot-Chat, DPO | reward margin | 0.000 | 0.184 |",
        "## Win rates against base",
        "| Parrot-Chat | 0.75 | 0.75 to 0.75 | 2 | 2 | 0 |",
        "| synthesize: asker | 48 | 21,390 | 6,104 | $0 |",
        "| filter | `repetitive` | 2 |",
        "- synthesize: 3 answers were cut at max\\_tokens",
    ):
        assert line in text
    assert "too small to judge well" in text


def test_tables_are_tables(tmp_path: Path) -> None:
    html = rendered(build_markdown(compared_run(tmp_path), RUN, COMPARED, NOW))
    assert html.count("<table>") == 6
    assert "|" not in html


def test_sessions_held_twice_or_beside_a_single_turn_have_a_table_in_both_reports(
    tmp_path: Path,
) -> None:
    judged = [Judged("chat | x", "q1", "math", 2, 4.0 + 2 * repeat, repeat) for repeat in (1, 2)]
    control = Judged(f"chat | x{SINGLE_TURN}", "q1", "math", 2, 9.0)
    found = gather(compared_run(tmp_path), RUN, COMPARED, NOW)
    stage = found.state.making("judgments")
    assert stage is not None
    assert "## Sessions" not in render_markdown(found)
    figures = session_figures([*judged, control], 1)
    stage.metrics["sessions"] = {each.subject: each.to_json() for each in figures}
    row = "| chat \\| x | 2 | 7.00 | 8.00 | 6.00 | 2.00 | - | 7.00 | 9.00 | -2.00 | - |"
    assert row in render_markdown(found)
    assert "Conversation less single turn" in render_report(found)


@given(st.text())
def test_no_text_can_format_link_or_break_a_table(text: str) -> None:
    html = rendered(f"| a |\n| --- |\n| {plain(text)} |\n")
    cell = html.split("<td>")[1].split("</td>")[0] if "<td>" in html else ""
    assert "<" not in cell


@given(st.sampled_from(["- x", "1. x", "12) x", "+ x", "# x", "> x", "=", "http://x", "www.x.y"]))
def test_a_paragraph_stays_a_paragraph(text: str) -> None:
    assert rendered(plain(text)) == f"<p>{escape(text, quote=False)}</p>\n"


def test_hostile_errors_are_text(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    plan(lake, "synthesize", [4])
    progress(lake, "synthesize", 0, done=1, started_at=ago(9), updated_at=ago(8))
    failure(lake, "synthesize", 0, 1, message=HOSTILE, started_at=ago(9), ended_at=ago(5))
    html = rendered(build_markdown(lake, RUN, STAGES, NOW))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    for tag in ("<script", "<img", "<a ", "<strong>bold"):
        assert tag not in html
    assert html.count("<h1>") == 1


def test_a_run_that_has_just_begun_is_short(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    text = build_markdown(lake, RUN, STAGES, NOW)
    assert "Status **waiting**" in text
    assert "##" not in text


def test_an_unknown_run_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(MissingRun):
        build_markdown(Lake(str(tmp_path)), "nowhere", STAGES, NOW)
