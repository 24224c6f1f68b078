"""The newest rows can be read while a shard works, in bounded size, and are gone with it."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from parrot_core.lake.live_tail import EVERY_S, KEPT, LONGEST, LiveTail, _cut, read_tails
from parrot_core.lake.storage import Storage

FOLDER = "runs/demo/synthesize/shards/00003"


def test_the_newest_rows_come_first_and_old_ones_are_forgotten(tmp_path: Path) -> None:
    storage, now = Storage(str(tmp_path)), [0.0]
    tail = LiveTail(storage, FOLDER, clock=lambda: now[0])
    tail.write()
    assert read_tails(storage, "demo", "synthesize", [3]) == []
    for number in range(KEPT + 2):
        tail.row({"id": f"d{number}"})
    tail.reject({"id": "bad", "reason": "context_full"})
    tail.write()
    found = read_tails(storage, "demo", "synthesize", [2, 3])
    assert [(each.row["id"], each.rejected) for each in found] == [
        *((f"d{n}", False) for n in range(KEPT + 1, 1, -1)),
        ("bad", True),
    ]
    tail.row({"id": "later"})
    tail.write()  # too soon
    assert found == read_tails(storage, "demo", "synthesize", [3])
    now[0] += EVERY_S
    tail.write()
    assert read_tails(storage, "demo", "synthesize", [3])[0].row["id"] == "later"
    tail.remove()
    assert read_tails(storage, "demo", "synthesize", [3]) == []


@given(st.lists(st.text(max_size=3000), max_size=40))
def test_a_long_row_is_cut_and_stays_a_conversation(texts: list[str]) -> None:
    row = {"id": "d", "messages": [{"role": "user", "content": text * 20} for text in texts]}
    cut = _cut(row)
    assert [message["role"] for message in cut["messages"]] == ["user"] * len(texts)
    if len(json.dumps(row)) <= LONGEST:
        assert cut == row


def test_half_a_character_is_no_reason_to_fail(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    tail = LiveTail(storage, FOLDER)
    tail.row({"id": "\ud800"})
    tail.write()
    assert len(read_tails(storage, "demo", "synthesize", [3])) == 1
