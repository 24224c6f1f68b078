"""Hostile text can be read and do nothing else."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from parrot_core.text.sanitise import one_line, sanitise


def test_control_and_direction_characters_are_spelled_out() -> None:
    assert sanitise("a\x00b\x1b[31m\u202ec") == "a⟨U+0000⟩b⟨U+001B⟩[31m⟨U+202E⟩c"


def test_lines_tabs_and_scripts_of_the_world_stay_as_they_are() -> None:
    text = "def f():\n\treturn 1\nשלום مرحبا 你好 👩‍🔬"
    assert sanitise(text) == text


def test_windows_line_ends_become_plain_ones() -> None:
    assert sanitise("a\r\nb\rc") == "a\nb⟨U+000D⟩c"


def test_a_long_text_is_clipped_and_says_by_how_much() -> None:
    assert sanitise("x" * 1_000_000, 10) == "xxxxxxxxxx … (999,990 more characters)"


def test_one_line_folds_white_space_and_clips() -> None:
    assert one_line("a\n\n b\tc") == "a b c"
    assert one_line("x" * 500, 5) == "xxxxx…"


@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_text_becomes_encodable_and_free_of_control_characters(text: str) -> None:
    shown = sanitise(text)
    shown.encode("utf-8")
    categories = {unicodedata.category(c) for c in shown if c not in "\n\t\u200c\u200d"}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert "\n" not in one_line(text)
