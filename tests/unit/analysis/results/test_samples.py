"""What a report shows of the data: drawn by its seed, and nobody's name or address in it."""

from pathlib import Path

from parrot_core.analysis.comparison.rows import compare_rows
from parrot_core.analysis.results.samples import pair_group, sample_dialogues, trace
from parrot_core.lake.lake import Lake
from tests.support.lakes.published import dialogue, publish

SAID = "Dear Maria, John Smith-Jones asked. Write to jo.doe@web.org."
HIDDEN = "Dear <NAME>, <NAME> asked. Write to <EMAIL>."


def test_no_name_and_no_address_of_a_person_is_in_a_sample(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    publish(lake, "dialogues", [dialogue("d", [SAID, SAID], source_ids=[])])
    said = [{"role": "user", "content": SAID}]
    pair = {"id": "d/t1:neglect", "source_ids": ["d"], "strategy": "neglect", "turn": 1}
    pair |= {"prompt": said, "chosen": said, "rejected": said, "evidence": SAID}
    publish(lake, "preferences", [pair], inputs={"dialogues": "demo"})
    (drawn,) = sample_dialogues(lake.dataset("dialogues", "demo"), 1, 1)
    assert [message.content for message in drawn.messages] == [HIDDEN, HIDDEN]
    group = pair_group(lake.dataset("preferences", "demo"), 1)
    assert group is not None
    assert (group.query, group.chosen, group.negatives[0].evidence) == (HIDDEN, HIDDEN, HIDDEN)
    steps = trace(lake, "preferences", "demo", group.ids[0])
    assert [step.dataset for step in steps] == ["preferences", "dialogues"]
    assert all(step.text.endswith(HIDDEN) for step in steps)
    publish(lake, "dialogues", [dialogue("d", [SAID, f"{SAID}!"], source_ids=[])], version="new")
    differ = compare_rows(lake.dataset("dialogues", "demo"), lake.dataset("dialogues", "new"))
    assert "Smith" not in str(differ.examples)
