"""What is exported as ShareGPT comes back through our own ingest as the same messages."""

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.engines.types import Message
from parrot_core.interchange.export import export
from parrot_core.interchange.formats.sharegpt import record
from parrot_core.lake.lake import Lake
from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.clean import CleanSession, Rejection, clean
from parrot_core.stages.ingest.layouts import LAYOUTS, Misfit
from parrot_core.stages.ingest.sources import open_source
from tests.support.lakes.finished_run import full_run
from tests.support.lakes.run_state import RUN

KEEP_ALL = Ingest(sources=("x",), languages=(), min_turns=1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
PLAIN = st.text("abc ?!.,'\"\\/é漢🦜", min_size=1, max_size=60).map(lambda text: f"x{text}x")


def talk(texts: list[str]) -> list[Message]:
    return [
        {"role": "assistant" if place % 2 else "user", "content": text}
        for place, text in enumerate(texts)
    ]


def cleaned(record: object) -> CleanSession | Rejection:
    read = LAYOUTS["sharegpt"].read(record)
    assert not isinstance(read, Misfit)
    return clean(read, KEEP_ALL)


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6))
def test_every_message_of_any_text_comes_back(texts: list[str]) -> None:
    written = json.dumps(record({"id": "a", "messages": talk(texts)}), ensure_ascii=False)
    assert LAYOUTS["sharegpt"].read(json.loads(written)) == talk(texts)


@settings(deadline=None)
@given(st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=4))
def test_clean_sessions_pass_cleaning_unchanged(turns: list[tuple[str, str]]) -> None:
    messages = talk([text for turn in turns for text in turn])
    outcome = cleaned(record({"id": "a", "messages": messages}))
    assert isinstance(outcome, CleanSession)
    assert list(outcome.messages) == messages


def test_an_exported_file_is_read_back_by_ingest(tmp_path: Path) -> None:
    lake: Lake = full_run(tmp_path / "lake")
    version = lake.dataset("parrot", RUN)
    done = export(lake, version, str(tmp_path / "out"), "sharegpt")
    [file] = done.files
    with open_source(str(tmp_path / "out" / file.path)) as source:
        found = [cleaned(each.record) for each in source]
    expected = [row["messages"] for row in version.rows(["messages"])]
    assert [list(each.messages) for each in found if isinstance(each, CleanSession)] == expected
