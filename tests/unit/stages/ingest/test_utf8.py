"""Bytes come out as valid UTF-8 that a JSON parser reads, wherever the chunks were cut."""

import codecs
import json

from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.ingest.utf8 import Utf8Mender


def _mended(data: bytes, size: int) -> tuple[bytes, Utf8Mender]:
    mender = Utf8Mender()
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(mender.mend(chunks)), mender


@given(text=st.text(), size=st.integers(1, 9))
def test_valid_text_passes_unchanged_wherever_it_is_cut(text: str, size: int) -> None:
    data = json.dumps([text], ensure_ascii=False).encode("utf-8", errors="ignore")
    mended, mender = _mended(data, size)
    assert mended == data
    assert mender.bad_bytes == 0


@given(text=st.text(), size=st.integers(1, 9))
def test_escaped_text_passes_unchanged_wherever_it_is_cut(text: str, size: int) -> None:
    data = json.dumps([text, "\\ud800", "\U0001f600\\"], ensure_ascii=True).encode()
    mended, mender = _mended(data, size)
    assert mended == data
    assert mender.lone_surrogates == 0


@given(data=st.binary(), size=st.integers(1, 9))
def test_any_bytes_come_out_as_utf8(data: bytes, size: int) -> None:
    mended, _ = _mended(data, size)
    mended.decode("utf-8")


@given(
    size=st.integers(1, 40),
    lone=st.sampled_from(["\\ud83d", "\\uDE00", "\\udbff\\u0041", "\\ud83d\\ud83d\\ude00"]),
)
def test_half_a_surrogate_pair_becomes_the_replacement_character(size: int, lone: str) -> None:
    data = f'["a{lone}b", "\\ud83d\\ude00", "\\\\ud83d"]'.encode()
    mended, mender = _mended(data, size)
    first, second, third = json.loads(mended)
    assert first.startswith("a\ufffd")
    assert first.endswith("b")
    assert (second, third) == ("\U0001f600", "\\ud83d")
    assert mender.lone_surrogates == 1


def test_a_byte_order_mark_is_dropped_and_bad_bytes_are_counted() -> None:
    mended, mender = _mended(codecs.BOM_UTF8 + b'["a\xffb\xc3"]', 2)
    assert mended.decode() == '["a\ufffdb\ufffd"]'
    assert mender.bad_bytes == 2


def test_half_a_pair_behind_an_escaped_backslash_is_not_taken_for_a_pair() -> None:
    mended, mender = _mended(b'["\\\\ud83d\\ude00"]', 99)
    assert json.loads(mended) == ["\\ud83d\ufffd"]
    assert mender.lone_surrogates == 1
