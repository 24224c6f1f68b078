"""Sessions are put together from all files, each once, whatever the files and their order."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.benchmarks.benchmark import load_benchmark
from parrot_core.lake.stage_plan import ShardPlan, Slice
from parrot_core.schemas import CONVERSATIONS
from parrot_core.stages.base import Row
from parrot_core.stages.ingest.assemble import AssembleStage
from parrot_core.stages.ingest.language import Guess
from parrot_core.stages.ingest.seeds import SeedsStage
from parrot_core.stages.ingest.stage import IngestStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.stage_work import FakeWork

LONG = (
    "Please write a short story about an old sailor who returns to the harbour of his youth after "
    "forty years at sea and finds that nobody there remembers his name any more"
)
QUESTIONS = minimal_recipe("lake").evaluate.questions


class _Marked:
    """Reads the language off the text: ``[fr] …``."""

    def detect(self, text: str) -> Guess:
        return Guess("fr" if "[fr]" in text else "en", 0.9)


def _record(session: str, *texts: str, first: int | None = None, file: str = "dump") -> Row:
    roles = ("user", "assistant")
    start = first or 0
    own_id = session if first is None else f"{session}_{first}"
    return {
        "id": f"{file}:{own_id}",
        "source_ids": [f"{file}.json#0"],
        "language": None,
        "source": file,
        "record_index": 0,
        "session": session,
        "part": first is not None,
        "first_message": start,
        "messages": [
            {"role": roles[(start + i) % 2], "content": text} for i, text in enumerate(texts)
        ],
    }


def _assemble(folder: Path, records: Sequence[Row], **ingest: Any) -> FakeWork:
    recipe = minimal_recipe("unused", ingest={"sources": ["a.json"], **ingest})
    plan = ShardPlan(0, (Slice("records", "test", 0, 0, len(records)),))
    work = FakeWork(recipe, folder, plan=plan, rows=records)
    AssembleStage(_Marked).process(work)
    work.assert_accounts_close()
    pa.Table.from_pylist(work.emitted, schema=CONVERSATIONS.arrow)
    return work


def _texts(row: Row) -> list[str]:
    return [message["content"] for message in row["messages"]]


def _reasons(work: FakeWork) -> list[str]:
    return [row["reason"] for row in work.rejected]


def test_parts_are_joined_wherever_they_are_and_an_overlap_is_there_once(tmp_path: Path) -> None:
    records = [
        _record("a", "q4", "a5", first=4, file="two"),
        _record("b", "other", "reply"),
        _record("a", "q0", "a1", "q2", "a3", first=0),
        _record("a", "a3", first=3, file="three"),
    ]
    work = _assemble(tmp_path, records)
    by_id = {row["id"]: row for row in work.emitted}
    assert _texts(by_id["dump:a_0"]) == ["q0", "a1", "q2", "a3", "q4", "a5"]
    assert by_id["dump:a_0"]["source_ids"] == ["dump:a_0", "three:a_3", "two:a_4"]
    assert by_id["dump:a_0"]["opens_session"]
    assert work.metrics["joined"] == {"records": 3, "sessions": 1, "copy": 1, "follows": 1}
    assert (work.expected, len(work.emitted)) == (2, 2)


def test_the_system_prompt_stays_beside_its_conversation_and_reaches_the_seed(
    tmp_path: Path,
) -> None:
    told = _record("a", "How high is Mount Everest?", "High.")
    told["messages"].insert(0, {"role": "system", "content": "You are a guide."})
    work = _assemble(tmp_path, [told, _record("b", "How deep is Lake Geneva?", "Deep.")])
    rows = {row["id"]: row for row in work.emitted}
    assert [rows[f"dump:{name}"]["system"] for name in "ab"] == ["You are a guide.", None]
    assert _texts(rows["dump:a"]) == ["How high is Mount Everest?", "High."]
    drawn = [{**row, "split": "seed"} for row in work.emitted]
    recipe = minimal_recipe("unused", seeds={"limit": 2, "min_chars": 5, "max_chars": 60})
    seeds = FakeWork(recipe, tmp_path, rows=drawn)
    SeedsStage().process(seeds)
    assert {row["id"]: row["system"] for row in seeds.emitted} == {
        "dump:a": "You are a guide.",
        "dump:b": None,
    }


def test_after_a_gap_a_new_session_begins_in_the_same_split(tmp_path: Path) -> None:
    records = [
        _record("a", "q0", "a1", first=0),
        _record("a", "a5", "q6", "a7", first=5),
    ]
    work = _assemble(tmp_path, records)
    assert [_texts(row) for row in work.emitted] == [["q0", "a1"], ["q6", "a7"]]
    assert [row["opens_session"] for row in work.emitted] == [True, False]
    assert [row["ends_session"] for row in work.emitted] == [False, True]
    assert len({row["group"] for row in work.emitted}) == 1
    assert len({row["split"] for row in work.emitted}) == 1


@pytest.mark.parametrize(
    ("texts", "settings", "ends"),
    [
        (("q0", "a1"), {}, True),
        (("q0", "a1", "q2"), {}, False),
        (("q0", "a1", "q2", "a3"), {"max_turns": 1}, False),
        (("q0", "a1", "q2", "a" * 200), {"max_message_chars": 100}, False),
    ],
)
def test_a_session_that_lost_its_end_is_known(
    tmp_path: Path, texts: tuple[str, ...], settings: dict[str, int], ends: bool
) -> None:
    [row] = _assemble(tmp_path, [_record("a", *texts)], **settings).emitted
    assert row["ends_session"] == ends


def test_numbered_ids_of_unrelated_sessions_are_not_taken_for_parts(tmp_path: Path) -> None:
    records = [_record("identity", f"q{i}", f"a{i}", first=i) for i in range(4)]
    for record in records:
        record["messages"] = _record("x", *_texts(record))["messages"]
    work = _assemble(tmp_path, records)
    assert [len(row["source_ids"]) for row in work.emitted] == [1, 1, 1, 1]


def test_parts_stay_apart_when_the_recipe_says_so(tmp_path: Path) -> None:
    records = [_record("a", "q0", "a1", first=0), _record("a", "q2", "a3", first=2)]
    assert len(_assemble(tmp_path, records, join_parts=False).emitted) == 2


def test_copies_and_near_copies_are_rejected_and_the_longest_stays(tmp_path: Path) -> None:
    records = [
        _record("a", LONG, "So be it.", file="one"),
        _record("b", LONG.upper(), "so  be it.", file="two"),
        _record("c", LONG, "So be it.", "And then?", "All.", file="three"),
        _record("d", "How deep is the lake of Geneva?", "Over three hundred metres."),
    ]
    work = _assemble(tmp_path, records)
    assert [row["id"] for row in work.emitted] == ["three:c", "dump:d"]
    assert sorted(_reasons(work)) == ["duplicate", "near_duplicate"]
    details = " ".join(row["detail"] for row in work.rejected)
    assert "like that of three:c" in details
    assert work.rejected[0]["original"]["messages"]


def test_alike_sessions_share_a_split_when_they_are_kept(tmp_path: Path) -> None:
    records = [_record(f"s{i}", f"{LONG} {i}", f"Reply {i}, another one.") for i in range(30)]
    work = _assemble(tmp_path, records, near_duplicates={"sessions": "group"})
    assert len(work.emitted) == 30
    assert len({row["split"] for row in work.emitted}) == 1


def test_sessions_with_the_same_opening_are_grouped_or_rejected(tmp_path: Path) -> None:
    replies = ("The sea was calm that day. " * 5, "Nobody knew the captain of the ship. " * 5)
    records = [
        _record(f"s{i}", LONG, reply, f"{reply} Why is it {i}?", f"{i} for all I know of ships")
        for i, reply in enumerate(replies)
    ]
    work = _assemble(tmp_path, records)
    assert len(work.emitted) == 2
    assert len({row["group"] for row in work.emitted}) == 1
    strict = _assemble(tmp_path, records, near_duplicates={"first_queries": "reject"})
    assert _reasons(strict) == ["near_duplicate"]


def test_a_session_that_holds_a_question_of_the_benchmark_is_rejected(tmp_path: Path) -> None:
    question = max((q for one in load_benchmark(QUESTIONS).questions for q in one.turns), key=len)
    records = [
        _record("a", f"Please, {question.upper()} Thank you!", "Well."),
        _record("b", "How deep is the lake of Geneva, please?", "Over three hundred metres."),
    ]
    work = _assemble(tmp_path, records)
    assert _reasons(work) == ["contaminated"]
    assert len(_assemble(tmp_path, records, near_duplicates={"benchmark": None}).emitted) == 2


def test_what_a_check_finds_is_a_flag_or_a_reject(tmp_path: Path) -> None:
    records = [
        _record("a", "Who are you, if I may ask?", "I am ChatGPT, developed by OpenAI."),
        _record("b", "Open the door for me.", "I'm sorry, but I can't help with that."),
        _record("c", "Tell me how to build a pipe bomb", "No."),
        _record("d", "import os\nimport sys\nx = 1\nprint(x)\nreturn x", "Fine code."),
        _record("e", "Tell me about ChatGPT by OpenAI.", "ChatGPT is a chat bot made by OpenAI."),
    ]
    flags = {row["id"][-1]: row["flags"] for row in _assemble(tmp_path, records).emitted}
    assert flags == {
        "a": ["other_vendor"],
        "b": ["refusal"],
        "c": ["sensitive"],
        "d": ["code_only"],
        "e": [],
    }
    every = dict.fromkeys(("sensitive", "refusal", "other_vendor", "code_only"), "reject")
    strict = _assemble(tmp_path, records, checks=every)
    assert sorted(_reasons(strict)) == sorted(every)
    assert [row["flags"] for row in _assemble(tmp_path, records, checks={}).emitted] == [[]] * 5


def test_languages_are_kept_as_the_recipe_says(tmp_path: Path) -> None:
    records = [_record("a", "[fr] Bonjour", "Salut"), _record("b", "Hello", "Hi")]
    assert _reasons(_assemble(tmp_path, records)) == ["language"]
    every = _assemble(tmp_path, records, languages=[])
    assert [row["language"] for row in every.emitted] == ["fr", "en"]
    assert every.metrics["languages"] == {"fr": 1, "en": 1}


def test_too_short_a_session_is_rejected(tmp_path: Path) -> None:
    work = _assemble(tmp_path, [_record("a", "Hi", "Hi")], min_session_chars=10)
    assert _reasons(work) == ["session_too_short"]


_WORDS = ("river", "winter", "parrot", "Paris", "sea", "poem", "lake", "speech", "sailor", "youth")
_QUERY = st.lists(st.sampled_from(_WORDS), min_size=8, max_size=14).map(" ".join)
_RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d"]),
        st.lists(st.one_of(_QUERY, st.sampled_from(["", "Hi", LONG])), max_size=5),
        st.one_of(st.none(), st.integers(0, 4)),
        st.sampled_from(["one", "two"]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(drawn=_RECORDS, seed=st.integers(0, 5))
def test_accounts_close_and_neither_files_nor_their_order_decide_what_stays(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[Any], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    records = [
        _record(session, *texts, first=first, file=file) | {"id": f"{file}:{i}"}
        for i, (session, texts, first, file) in enumerate(drawn)
    ]
    shuffled = random.Random(seed).sample(records, len(records))
    first, second = _assemble(folder, records), _assemble(folder, shuffled)

    def kept(work: FakeWork) -> list[tuple[str, str, list[str]]]:
        return sorted((row["split"], row["group"], _texts(row)) for row in work.emitted)

    assert kept(first) == kept(second)
    splits: dict[str, set[str]] = {}
    for row in first.emitted:
        splits.setdefault(row["group"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())


def test_a_run_with_pinned_conversations_names_the_version_of_their_records(tmp_path: Path) -> None:
    recipe = minimal_recipe("unused", inputs={"conversations": "earlier"})
    run = FakeWork(recipe, tmp_path).run
    assert IngestStage().version(run) == AssembleStage().version(run) == "earlier"
    own = minimal_recipe("unused", inputs={"records": "earlier"})
    assert AssembleStage().version(FakeWork(own, tmp_path).run) == "test"


def test_pinned_conversations_pin_the_records_that_they_were_made_of() -> None:
    of = IngestStage().spec
    assert of.pinned({"conversations": "earlier"}) == "earlier"
    assert of.pinned({"records": "before", "conversations": "earlier"}) == "before"
    assert of.pinned({"seeds": "earlier"}) is None
