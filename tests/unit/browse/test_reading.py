"""Rows are read by position, filtered by light columns, found by text, and followed back."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.browse.index import ABSENT, Indexes, RowFilter
from parrot_core.browse.lengths import lengths
from parrot_core.browse.lineage import lineage
from parrot_core.browse.query import parse_query
from parrot_core.browse.search import search
from parrot_core.errors import StorageError, UserError
from parrot_core.lake.lake import Lake
from parrot_core.lake.row_lookup import RowLookup
from tests.support.lakes.published import dialogue, publish

ROWS = [
    dialogue(f"d{n}", [f"question {n}", "Answer", "more?", f"X{n}y"][: 2 + 2 * (n % 2)])
    for n in range(11)
]


@pytest.fixture
def lookup(tmp_path: Path) -> RowLookup:
    lake = Lake(str(tmp_path))
    rows = [{**row, "language": None if n == 7 else "en"} for n, row in enumerate(ROWS)]
    return RowLookup(lake.storage, publish(lake, "dialogues", rows))


@given(st.lists(st.integers(0, 10), max_size=20))
@settings(max_examples=20, deadline=None)
def test_rows_come_in_the_order_asked_for(
    tmp_path_factory: pytest.TempPathFactory, positions: list[int]
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    manifest = publish(lake, "dialogues", ROWS)
    found = RowLookup(lake.storage, manifest).read(positions, ["id"])
    assert [row["id"] for row in found] == [f"d{n}" for n in positions]


def test_a_position_past_the_end_and_a_lost_file_are_told(
    lookup: RowLookup, tmp_path: Path
) -> None:
    assert len(lookup) == 11
    with pytest.raises(IndexError):
        lookup.read([11])
    next(tmp_path.rglob("00001-*.parquet")).unlink()
    assert lookup.read([3])[0]["id"] == "d3"
    with pytest.raises(StorageError, match=r"00001-.*missing"):
        lookup.read([4])


def test_filters_count_and_choose_by_value_bounds_and_absence(lookup: RowLookup) -> None:
    index = Indexes().of(lookup)
    assert index.choices()["n_turns"] == {"1": 6, "2": 5}
    assert index.choices()["language"] == {"en": 10, ABSENT: 1}
    assert list(index.matching(RowFilter({"language": ABSENT}))) == [7]
    assert list(index.matching(RowFilter(least={"n_turns": 2}))) == [1, 3, 5, 7, 9]
    assert list(index.matching(RowFilter({"language": "en"}, {"n_turns": 2}, {"n_turns": 2}))) == [
        *(1, 3, 5, 9)
    ]
    assert list(index.matching(RowFilter())) == list(range(11))


def test_a_row_is_found_by_its_id_and_groups_by_their_beginning(lookup: RowLookup) -> None:
    index = Indexes().of(lookup)
    assert index.find("d10") == 10
    assert index.find("gone") is None
    assert list(index.beginning("d1")) == [1, 10]


def test_a_filter_that_fits_no_column_is_named(lookup: RowLookup) -> None:
    index = Indexes().of(lookup)
    with pytest.raises(UserError, match="no column 'nope' to filter by; there are: id, language"):
        index.matching(RowFilter({"nope": "1"}))
    with pytest.raises(UserError, match="no column 'messages'"):
        index.matching(RowFilter(least={"messages": 1}))
    with pytest.raises(UserError, match="'language' holds no numbers"):
        index.matching(RowFilter(most={"language": 3}))


def test_rows_are_filtered_by_one_of_their_flags(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    flags = [["code"], [], ["refusal", "code"], None, ["refusal"], ["code"]]
    rows = [dialogue(f"c{n}", ["q", "a"], flags=each) for n, each in enumerate(flags)]
    manifest = publish(lake, "conversations", rows)
    index = Indexes().of(RowLookup(lake.storage, manifest))
    assert index.choices()["flags"] == {"code": 3, "(none)": 2, "refusal": 2}
    for value, found in {"code": [0, 2, 5], "refusal": [2, 4], "(none)": [1, 3], "x": []}.items():
        assert list(index.matching(RowFilter({"flags": value}))) == found
    assert list(index.matching(RowFilter({"flags": "code", "language": "en"}))) == [0, 2, 5]
    plain = publish(lake, "conversations", [dialogue("c", ["q", "a"])], version="plain")
    assert "flags" not in Indexes().of(RowLookup(lake.storage, plain)).choices()


def test_an_index_is_read_once_and_given_up_under_the_bound(lookup: RowLookup) -> None:
    told: list[tuple[int, int]] = []
    indexes = Indexes(most_bytes=0)
    first = indexes.of(lookup, lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert indexes.of(lookup) is first  # one is always kept
    lookup.manifest = lookup.manifest.model_copy(update={"commit_id": "other"})
    assert indexes.of(lookup) is not first
    assert indexes.known(lookup) is not None


def test_a_text_is_found_whatever_its_case_and_never_read_as_a_pattern(lookup: RowLookup) -> None:
    assert search(lookup, parse_query('"QUESTION 1"')).positions == (1, 10)
    assert search(lookup, parse_query("x3Y")).positions == (3,)
    assert search(lookup, parse_query(".*")).positions == ()
    assert search(lookup, parse_query("(")).complete


def test_a_search_ends_when_told_or_when_it_has_found_enough(lookup: RowLookup) -> None:
    told: list[tuple[int, int, int]] = []

    def going(*progress: int) -> bool:
        told.append((progress[0], progress[1], progress[2]))
        return progress[0] < 1

    ended = search(lookup, parse_query("question"), going)
    assert told == [(0, 3, 0), (1, 3, 4)]
    assert (ended.positions, ended.complete) == ((0, 1, 2, 3), False)
    assert search(lookup, parse_query("question"), most=2).positions == (0, 1)


def test_all_words_must_occur_phrases_and_expressions_too(lookup: RowLookup) -> None:
    for text, positions in {
        "more x5y": (5,),  # in two messages of one row
        "more answer x99": (),
        '"question 1" more': (),  # row 10 has one turn, row 1 the phrase and "more?"
        r"/x[35]y/": (3, 5),
        r"/X\d+y/ /question [13]/": (1, 3),
        "/usr/bin": (),
        "": (),
    }.items():
        expected = (1,) if text.startswith('"question 1"') else positions
        assert search(lookup, parse_query(text)).positions == expected, text


def test_an_expression_that_cannot_be_understood_is_named() -> None:
    with pytest.raises(UserError, match=r"search: /\(/ is no regular expression"):
        parse_query("/(/")


@given(st.text(max_size=60), st.text(max_size=60))
def test_hits_lie_in_the_text_and_apart_from_each_other(typed: str, text: str) -> None:
    try:
        query = parse_query(typed)
    except UserError:
        return
    spans = query.spans(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(left[1] <= right[0] for left, right in pairwise(spans))


def test_rows_whose_answer_was_cut_off_are_told_from_the_others(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    ends = (["length"], ["stop"], [], ["stop", "length"])
    rows = [
        dialogue(f"d{n}", ["q", "a"], provenance=[{"finish_reason": each} for each in reasons])
        for n, reasons in enumerate(ends)
    ]
    index = Indexes().of(RowLookup(lake.storage, publish(lake, "dialogues", rows)))
    assert list(index.matching(RowFilter({"truncated": "true"}))) == [0, 3]
    assert index.among([0, 1]).choices()["truncated"] == {"false": 1, "true": 1}


def test_lengths_are_those_of_all_texts_of_a_row(lookup: RowLookup) -> None:
    found = lengths(lookup).to_pylist()
    assert found[:2] == [len("question 0Answer"), len("question 1Answermore?X1y")]
    assert len(found) == 11


def test_a_row_is_followed_to_its_source_record(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    session = dialogue("s1", ["q", "a"])
    seed = {"id": "s1", "source_ids": ["s1"], "language": "en", "query": "q"}
    publish(lake, "seeds", [seed])
    source = {**session, "source_ids": ["file.json#3"]}
    publish(lake, "conversations", [source], version="old")
    seeds = publish(
        lake,
        "seeds",
        [{**seed, "topic": "tea, pot, cup"}],
        version="new",
        inputs={"conversations": "old"},
    )
    top = publish(
        lake,
        "dialogues",
        [session],
        version="new",
        inputs={"seeds": seeds.version, "parrot-ask": "removed"},
    )
    steps = lineage(lake, Indexes(), top, ["s1"])
    assert [step.topic for step in steps] == ["tea, pot, cup", "", ""]
    assert [(step.dataset, step.version, step.id) for step in steps] == [
        ("seeds", "new", "s1"),
        ("conversations", "old", "s1"),
        ("", "", "file.json#3"),
    ]
