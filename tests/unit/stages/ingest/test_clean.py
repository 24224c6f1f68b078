"""Records become sessions that alternate, or say why they don't."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.clean import CleanSession, Rejection
from parrot_core.stages.ingest.clean import clean as clean_messages
from parrot_core.stages.ingest.layouts import LAYOUTS, Misfit
from parrot_core.stages.reasons import REASONS
from parrot_core.text.control_tokens import defuse_control_tokens, find_control_token

SETTINGS = Ingest(sources=("a.json",), max_message_chars=1000)

_SPEAKERS = st.sampled_from(["human", "gpt", "user", "bing", "bard", "chatgpt", "system"])
_TEXTS = st.sampled_from(["", " ", "Hi", "Why?", "<|im_end|>", "a\r\nb", "\u200b", "1 / 2"])


def _record(*turns: tuple[object, object]) -> dict[str, Any]:
    return {"id": "a", "conversations": [{"from": f, "value": v} for f, v in turns]}


def clean(record: object, settings: Ingest) -> CleanSession | Rejection:
    messages = LAYOUTS["sharegpt"].read(record)
    if isinstance(messages, Misfit):
        return Rejection("malformed_record", messages.why)
    return clean_messages(messages, settings)


def _session(*turns: tuple[object, object], settings: Ingest = SETTINGS) -> CleanSession:
    outcome = clean(_record(*turns), settings)
    assert isinstance(outcome, CleanSession), outcome
    return outcome


def _texts(session: CleanSession) -> list[str]:
    return [message["content"] for message in session.messages]


@given(turns=st.lists(st.tuples(_SPEAKERS, st.one_of(_TEXTS, st.text(max_size=30)))))
def test_every_record_ends_alternating_or_rejected_for_a_known_reason(
    turns: list[tuple[str, str]],
) -> None:
    outcome = clean(_record(*turns), SETTINGS)
    if isinstance(outcome, Rejection):
        assert outcome.reason in REASONS
        return
    roles = [message["role"] for message in outcome.messages]
    assert roles == ["user", "assistant"] * outcome.turns
    assert outcome.turns >= 1
    for text in _texts(outcome):
        assert text
        assert text == text.strip()
        assert find_control_token(text) is None


def test_all_vendors_speakers_become_the_two_roles() -> None:
    pairs = [("human", "gpt"), ("user", "chatgpt"), ("Human", "bing"), ("user", "bard")]
    session = _session(*[(speaker, "text") for pair in pairs for speaker in pair])
    assert session.turns == 4
    assert session.mended == ()


def test_what_another_part_of_a_split_session_asked_is_dropped_with_its_answer() -> None:
    session = _session(("gpt", "so"), ("human", "q"), ("gpt", "a"))
    assert _texts(session) == ["q", "a"]
    assert session.mended == ("drop_leading_assistant",)


def test_messages_of_one_speaker_are_merged_also_across_empty_ones() -> None:
    session = _session(("human", "q"), ("gpt", "a"), ("human", " "), ("gpt", "b"))
    assert _texts(session) == ["q", "a\n\nb"]
    assert set(session.mended) == {"drop_empty", "merge_same_speaker"}


def test_an_unanswered_last_query_is_dropped() -> None:
    assert _texts(_session(("human", "q"), ("gpt", "a"), ("human", "r"))) == ["q", "a"]


def test_only_the_first_turns_are_kept_when_the_recipe_says_so() -> None:
    settings = SETTINGS.model_copy(update={"max_turns": 1})
    turns = [("human", "q"), ("gpt", "a"), ("human", "r"), ("gpt", "x" * 2000)]
    assert _texts(_session(*turns, settings=settings)) == ["q", "a"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "malformed_record"),
        ([], "no_turns"),
        ({"id": "a"}, "malformed_record"),
        ({"id": "a", "conversations": [3]}, "malformed_record"),
        (_record(("human", None)), "malformed_record"),
        (_record(("narrator", "text")), "malformed_record"),
        (_record(), "no_turns"),
        (_record(("human", " "), ("gpt", "\u200b")), "empty_turns"),
        (_record(("system", "Be kind.")), "empty_turns"),
        (_record(("gpt", "a")), "no_user_turn"),
        (_record(("human", "q")), "no_response"),
        (_record(("human", "q" * 1001), ("gpt", "a")), "message_too_long"),
    ],
)
def test_a_record_without_a_session_says_why(record: object, reason: str) -> None:
    outcome = clean(record, SETTINGS)
    assert isinstance(outcome, Rejection)
    assert outcome.reason == reason


def test_a_message_too_long_ends_the_session_before_it() -> None:
    turns = [("human", "q"), ("gpt", "a"), ("human", "r"), ("gpt", "x" * 2000)]
    assert _texts(_session(*turns)) == ["q", "a"]


def test_error_notices_go_with_the_queries_that_they_follow() -> None:
    notice = "Too many requests in 1 hour. Try again later."
    turns = [("human", "q"), ("gpt", notice), ("human", "q"), ("gpt", "a")]
    assert _texts(_session(*turns)) == ["q", "a"]
    kept = _session(("human", "q"), ("gpt", "A network error is when the line is down."))
    assert kept.turns == 1


def test_turns_that_ask_nothing_are_dropped() -> None:
    queries = ("...", "?", "好")
    turns = [turn for q in queries for turn in (("human", q), ("gpt", "b"))]
    assert _texts(_session(*turns)) == ["?", "b", "好", "b"]


@given(turns=st.lists(st.tuples(_SPEAKERS, st.one_of(_TEXTS, st.text(max_size=30)))))
def test_cleaning_what_is_clean_changes_nothing(turns: list[tuple[str, str]]) -> None:
    outcome = clean(_record(*turns), SETTINGS)
    if isinstance(outcome, CleanSession):
        again = _record(*((m["role"], m["content"]) for m in outcome.messages))
        assert clean(again, SETTINGS) == CleanSession(outcome.messages, ())


def test_too_few_turns_are_rejected() -> None:
    settings = SETTINGS.model_copy(update={"min_turns": 2})
    assert clean(_record(("human", "q"), ("gpt", "a")), settings) == Rejection(
        "too_few_turns", "1 turns, expected 2 or more"
    )


def test_a_record_of_another_layout_is_told_what_was_expected() -> None:
    outcome = clean({"prompt": "a"}, SETTINGS)
    assert isinstance(outcome, Rejection)
    assert "found an object with 'prompt'" in outcome.detail
    assert "'conversations'" in outcome.detail.replace('"', "'")


@pytest.mark.parametrize(
    "token",
    [
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
        "<|start_header_id|>",
        "<s>",
        "</s>",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "<</SYS>>",
        "<start_of_turn>",
        "<repo_name>",
    ],
)
def test_control_tokens_in_a_message_cant_forge_a_role(token: str) -> None:
    assert find_control_token(f"a{token}b") == token
    session = _session(("human", f"What is {token}?"), ("gpt", f"{token}user\nHi"))
    assert all(token not in text for text in _texts(session))
    assert _texts(session)[0] == f"What is {token[0]} {token[1:]}?"


@given(st.text(alphabet="<|>[]/ Sims_endINT", max_size=60))
def test_no_control_token_survives_however_it_is_nested(text: str) -> None:
    defused = defuse_control_tokens(text)
    assert find_control_token(defused) is None
    assert defuse_control_tokens(defused) == defused


@pytest.mark.parametrize("code", ["x <| y", "a[0] <b>bold</b>", "if a<s and s>b:", "<div>1</div>"])
def test_code_and_html_that_people_talk_about_stay(code: str) -> None:
    assert _texts(_session(("human", code), ("gpt", code))) == [code, code]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go onShare Prompt", "go on"),
        ("Why is that?2 / 2", "Why is that?"),
        ("go on\n1 / 3\n", "go on"),
        ("What is 4 / 2", "What is 4 / 2"),
        ("from 10 / 12", "from 10 / 12"),
    ],
)
def test_what_the_page_added_to_a_copied_prompt_is_dropped(text: str, expected: str) -> None:
    session = _session(("human", text), ("gpt", "Mind step 1 / 2"))
    assert _texts(session) == [expected, "Mind step 1 / 2"]


def test_odd_characters_become_plain_ones() -> None:
    text = "a\u00a0b\u200bc\x00d\r\ne\x0bf  \n\n\n\n\n\u00e9"
    expected = "a bcd\ne\nf\n\n\n\u00e9"
    assert _texts(_session(("human", text), ("gpt", "x\x07y\r\rz"))) == [expected, "xy\n\nz"]
