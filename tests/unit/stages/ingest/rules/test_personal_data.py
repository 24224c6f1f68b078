"""Personal data and secrets are masked; versions, dates, examples and code stay as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.ingest.rules.gate import suspects
from parrot_core.stages.ingest.rules.personal_data import GATE, personal_data

KEY = "sk-" + "a1B2c3D4e5" * 4

MASKED = [
    ("Write to jane.roe+x@mail.uni-bonn.de, please", "Write to <EMAIL>, please"),
    ("[a@b-c.org](mailto:a@b-c.org)", "<EMAIL>"),
    (f'openai.api_key = "{KEY}"', 'openai.api_key = "<SECRET>"'),
    ("AKIAIOSFODNN7QWERTY2 is it", "<SECRET> is it"),
    ("Authorization: Bearer 8fj3kd9fjw8s7d6f5g4h3j2k1", "Authorization: Bearer <SECRET>"),
    ("postgres://anna:Zx9_kw31@db.host.net/x", "postgres://anna:<PASSWORD>@db.host.net/x"),
    ("Card 4556 7375 8689 9855, exp 12/27", "Card <CARD>, exp 12/27"),
    ("pay with 4556737586899855 now", "pay with <CARD> now"),
    ("IBAN DE89 3704 0044 0532 0130 00", "IBAN <IBAN>"),
    ("to GB82WEST12345698765432!", "to <IBAN>!"),
    ("server at 159.89.98.186 is down", "server at <IP> is down"),
    ("call (415) 555-2671 x", "call <PHONE> x"),
    ("call +1 415-555-2671", "call <PHONE>"),
    ("call +44 20 7946 0958 at noon", "call <PHONE> at noon"),
    ("手机 13812345678。", "手机 <PHONE>。"),
    ("身份证 11010519491231002X", "身份证 <ID>"),
    ("SSN 536-90-4399 ok", "SSN <SSN> ok"),
]


@pytest.mark.parametrize(("text", "expected"), MASKED)
def test_personal_data_becomes_a_placeholder(text: str, expected: str) -> None:
    assert personal_data(text, "user") == expected
    assert personal_data(expected, "user") == expected


@pytest.mark.parametrize("text", [text for text, _ in MASKED])
def test_the_gate_lets_everything_through_that_the_rule_finds(text: str) -> None:
    assert suspects([text], ["user"], [GATE]) == [[0]]


@pytest.mark.parametrize(
    "text",
    [
        "you@example.com, user@domain.com, git@github.com:a/b.git",
        "logo@2x.png and @property and a @ b",
        'key = "sk-xxxxxxxxxxxxxxxxxxxxxxxx"',
        'token="xoxp-your-token-here", Bearer YOUR_PERSONAL_ACCESS_TOKEN',
        "mysql://root:password@localhost/db",
        "Chrome/91.0.4472.124 and version 12.34.56.78",
        "127.0.0.1, 192.168.0.7, 10.1.2.3, 0.0.0.0, 8.8.8.8, 22.1.11.128/27",
        "2023-03-10T09:30:47 and 10/12/2023 and 1999-2004",
        "1679558400000, 1,234,567,890 and 3.14159265358979",
        "4556 7375 8689 9850 fails its checksum",
        "order 123-456-7890 and 123-45-6789",
        "ISBN 978-3-16-148410-0",
        "uuid 550e8400-e29b-41d4-a716-446655440000",
        "sha 3278f51e13dccf38fa6c0fe727afba92",
        "`13812345678` in code",
        "11010519491231002Y",
        "$415-555-2671",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert personal_data(text, "user") == text


_PIECES = st.sampled_from(
    ["```", "```python\n", "`", "\n", " ", "x = 1", "a@b-c.org", KEY, "13812345678", "{", "}", '"']
)


@given(st.lists(_PIECES, max_size=30).map("".join))
def test_masking_never_changes_lines_fences_or_brackets(text: str) -> None:
    masked = personal_data(text, "assistant")
    for mark in ("\n", "`", "{", "}", '"'):
        assert masked.count(mark) == text.count(mark)
    assert personal_data(masked, "assistant") == masked


def test_a_private_key_keeps_its_frame_and_its_lines() -> None:
    body = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"] * 3)
    text = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
    masked = personal_data(text, "user")
    assert "MII" not in masked
    assert masked.splitlines()[0] == "-----BEGIN PRIVATE KEY-----"
    assert masked.count("\n") == text.count("\n")
