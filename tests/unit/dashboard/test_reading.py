"""What readers walk through: sets named by their address, safe rendering, marked differences."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.chat import pieces_of
from dashboard.rendered import rendered
from dashboard.result_set import MARKS, VersionPart, Wanted
from dashboard.review_page import half_of, sample
from dashboard.row_preview import snippet
from dashboard.version_cache import VersionCache
from dashboard.word_difference import marked_differences
from parrot_core.browse.query import parse_query
from parrot_core.lake.lake import Lake
from tests.support.dashboard.page import Page
from tests.support.lakes.published import dialogue, publish

PLACE = VersionPart("dialogues", "demo")
NAMES = st.text("abc_", min_size=1, max_size=5)


@given(
    st.builds(
        Wanted,
        st.just(PLACE),
        st.text("ab \"/?&=%'", max_size=9).map(str.strip),
        st.dictionaries(NAMES, st.text(min_size=1, max_size=5), max_size=2),
        st.dictionaries(NAMES, st.integers(0, 99), max_size=2),
        st.dictionaries(NAMES, st.integers(0, 99), max_size=2),
        st.sampled_from(["", *MARKS]),
        st.none() | st.integers(0, 9),
    ),
    st.sampled_from([("", ""), ("other", "only"), ("other", "changed")]),
)
def test_a_set_is_what_its_address_says(wanted: Wanted, against: tuple[str, str]) -> None:
    from urllib.parse import parse_qsl, urlsplit

    wanted = replace(wanted, other=against[0], differ=against[1])
    split = urlsplit(wanted.address(7))
    query = dict(parse_qsl(split.query, keep_blank_values=True))
    assert split.path == "/data/dialogues/demo/7"
    assert Wanted.of(PLACE, query) == wanted


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8)))
def test_no_address_breaks_a_page(query: dict[str, str]) -> None:
    Wanted.of(PLACE, {**query, "min.x": "9" * 50, "sample": "²", "mark": "<b>"})


def test_sets_are_filtered_searched_marked_and_sampled(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    rows = [
        dialogue(f"d{n}", [f"q{n} tea", "a"], language="fr" if n % 2 else "en") for n in range(9)
    ]
    publish(lake, "dialogues", rows)
    cache = VersionCache(lake)
    everything = Wanted(PLACE)
    assert list(cache.result_set(everything).positions) == list(range(9))
    french = replace(everything, equal={"language": "fr"}, text="tea")
    assert list(cache.result_set(french).positions) == [1, 3, 5, 7]
    assert cache.result_set(french) is cache.result_set(french)
    drawn = cache.result_set(replace(french, seed=3)).positions
    assert sorted(drawn) == [1, 3, 5, 7]
    assert drawn == cache.result_set(replace(french, seed=3)).positions
    from datetime import UTC, datetime

    cache.reviews(PLACE).mark("d3", "flag", datetime.now(UTC), "ada")
    for mark, found in {"any": [3], "flag": [3], "keep": [], "none": [1, 5, 7]}.items():
        assert list(cache.result_set(replace(french, mark=mark)).positions) == found
    short = everything.with_bounds("chars", None, 100)
    assert len(cache.result_set(short).positions) == 9
    assert len(cache.result_set(everything.with_bounds("chars", 100, None)).positions) == 0


def test_all_rows_that_differ_from_another_version_are_a_set(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    rows = [dialogue(f"d{n}", [f"q{n}", "a"]) for n in range(60)]
    publish(lake, "dialogues", rows[:50], version="before")
    changed = [dialogue(f"d{n}", [f"q{n}", "b"]) for n in range(20)]
    publish(lake, "dialogues", [*changed, *rows[20:40], *rows[50:]])
    cache = VersionCache(lake)
    here, before = Wanted(PLACE, other="before"), VersionPart("dialogues", "before")
    assert list(cache.result_set(replace(here, differ="changed")).positions) == list(range(20))
    assert list(cache.result_set(replace(here, differ="only")).positions) == list(range(40, 50))
    gone = Wanted(before, other="demo", differ="only")
    assert list(cache.result_set(gone).positions) == list(range(40, 50))


def test_dialogues_say_what_the_filter_said_of_them(tmp_path: Path) -> None:
    from tests.support.lakes.finished_run import full_run

    cache = VersionCache(full_run(tmp_path))
    index = cache.index(PLACE)
    assert index.choices()["filter"] == {"kept": index.table.num_rows}


@given(st.text(max_size=200))
def test_whatever_a_text_says_its_rendering_holds_no_link_image_or_script(text: str) -> None:
    _harmless(rendered(text, 4000))


@pytest.mark.parametrize(
    "text",
    [
        "<script>x</script><img src=x onerror=y><a href=x>z</a>",
        "![x](http://evil.example/x.png) [click](javascript:alert(1)) <http://evil.example>",
        "[ref]: javascript:alert(1)\n\n[ref] ![ref]",
        '```js" onload="x\n<img src=x onerror=y>\n```',
        "`<svg onload=x>` **<iframe>** | <b>",
        "|<img src=x>|b|\n|-|-|\n|1|<script>|",
        "&lt;img src=x onerror=y&gt; &#60;script&#62;",
    ],
)
def test_known_attacks_are_text(text: str) -> None:
    _harmless(rendered(text, 4000))


def _harmless(html: str) -> None:
    allowed = {
        *("p", "pre", "code", "em", "strong", "s", "ul", "ol", "li", "blockquote", "hr", "br"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "span"),
    }
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag in allowed
        assert set(attributes) <= {"class", "start", "style"}
        assert re.fullmatch(
            r"text-align:(left|right|center)", attributes.get("style") or "text-align:left"
        )


def test_code_is_coloured_and_headings_and_lists_are_there() -> None:
    html = rendered("# Head\n\n- one\n\n```python\nreturn 1\n```", 4000)
    assert "<h1>Head</h1>" in html
    assert "<li>one</li>" in html
    assert 'class="hl-k"' in html


@given(st.text("ab .", max_size=40), st.text("ab .", max_size=40))
def test_marked_differences_are_the_text_itself(text: str, against: str) -> None:
    found = marked_differences(text, against)
    assert "".join(piece for piece, _ in found) == text
    if text == against:
        assert not any(marked for _, marked in found)


def test_a_word_that_the_other_text_lacks_is_marked() -> None:
    found = marked_differences("It costs nine euros.", "It costs ten euros.")
    assert [piece for piece, marked in found if marked] == ["nine"]


def test_a_hit_is_marked_in_the_list_however_far_it_is_in_the_row() -> None:
    row = dialogue("d", ["hello", "x" * 500 + " teapot " + "y" * 500])
    parts = snippet(row, parse_query("TEA"))
    assert [piece for piece, marked in parts if marked] == ["tea"]
    assert sum(len(piece) for piece, _ in parts) < 260
    assert snippet(row, parse_query("")) == [("hello", False)]
    assert pieces_of("abcd", [(1, 2)]) == [("a", False), ("b", True), ("cd", False)]


def test_two_halves_of_a_sample_are_the_sample() -> None:
    whole = sample(1000, 4)
    assert sorted([*half_of(whole, "1"), *half_of(whole, "2")]) == sorted(whole)
    assert half_of(whole, "0") == whole
