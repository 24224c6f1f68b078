"""What was written to a spool is read again, in any order."""

from pathlib import Path

import orjson
import pytest

from parrot_core.stages.ingest.numbering import Part
from parrot_core.stages.ingest.rules.rule import Messages
from parrot_core.stages.ingest.spool import Spool


def _part(number: int) -> Part:
    return Part(f"s{number}", number, "u", [number], f"id {number}", "源", number, number, True)


def _messages(number: int) -> Messages:
    return [{"role": "user", "content": f"\n\0é{number}" * (number % 50)}]


def test_facts_and_messages_come_back_in_any_order_also_while_more_are_written(
    tmp_path: Path,
) -> None:
    with Spool(tmp_path / "new") as spool:
        places = []
        for number in range(300):
            places.append(spool.append(_part(number), orjson.dumps(_messages(number))))
            if number % 7 == 0:
                assert spool.messages(places[number // 2]) == _messages(number // 2)
        for number in reversed(range(300)):
            assert Part(**spool.facts(places[number])) == _part(number)
            assert spool.messages(places[number]) == _messages(number)


def test_the_file_is_gone_when_the_spool_is_closed(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        place = spool.append(_part(1), b"[]")
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        spool.messages(place)
