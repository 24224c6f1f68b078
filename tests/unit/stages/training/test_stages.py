import json

import pytest

from parrot_core.errors import TrainingFailed
from parrot_core.stages.training.fit import Tally
from parrot_core.stages.training.stages import TrainAskStage, TrainDpoStage, TrainSftStage
from tests.support.lakes.stage_work import FakeWork, small_recipe


def session(n, **fields):
    messages = [
        {"role": "user", "content": f"q{n}"},
        {"role": "assistant", "content": f"a{n}"},
        {"role": "user", "content": f"more {n}"},
        {"role": "assistant", "content": "done"},
    ]
    return {"id": f"s{n}", "source_ids": [f"r{n}"], "messages": messages, **fields}


def pair(n, strategy):
    answer = [{"role": "assistant", "content": "a"}]
    return {
        "id": f"p{n}-{strategy}",
        "source_ids": [f"q{n}"],
        "strategy": strategy,
        "prompt": [{"role": "user", "content": f"q{n}"}],
        "chosen": answer,
        "rejected": [{"role": "assistant", "content": strategy}],
    }


class Launch:
    """Uses every example and reports two steps."""

    def __call__(self, job, on_progress):
        self.job = job
        self.train, self.heldout = (
            [json.loads(line) for line in path.read_text().splitlines()]
            for path in (job.train_file, job.heldout_file)
        )
        on_progress({"phase": "training"})
        on_progress({"step": 1, "total_steps": 2, "loss": 2.0})
        parts = {"train": self.train, "heldout": self.heldout}
        tally = {
            part: Tally(used=len(found), sequences=len(found)).as_json()
            for part, found in parts.items()
        }
        return {"curve": [{"step": 1, "loss": 2.0}], "examples": tally, "tokens": 9}


def test_the_asker_trains_on_the_train_split_and_is_measured_on_the_heldout_one(tmp_path):
    launch = Launch()
    splits = ["train", "seed", "heldout", "train", "seed", "train"]
    work = FakeWork(
        small_recipe(), tmp_path, rows=[session(n, split=s) for n, s in enumerate(splits)]
    )
    TrainAskStage(launch).process(work)
    assert [row["messages"][0]["content"] for row in launch.train] == ["q0", "q3", "q5"]
    assert [row["messages"][0]["content"] for row in launch.heldout] == ["q2"]
    assert work.metrics["examples"] == {
        "rows": 6,
        "trained": 3,
        "heldout": 1,
        "left_out": {"split_seed": 2},
        "sequences": 4,
        "clipped": 0,
        "turns": 0,
        "turns_cut": 0,
        "messages_cut": 0,
    }
    assert work.models == [launch.job.model_folder]
    assert work.metrics["tokens"] == 9


def test_sft_holds_some_dialogues_out_and_can_keep_only_the_first_turns(tmp_path):
    launch = Launch()
    settings = {"base": "stub/model", "heldout_fraction": 0.25, "max_turns": 1}
    work = FakeWork(small_recipe(train_sft=settings), tmp_path, rows=[session(n) for n in range(8)])
    TrainSftStage(launch).process(work)
    assert (len(launch.train), len(launch.heldout)) == (6, 2)
    assert {len(row["messages"]) for row in launch.train} == {2}


@pytest.mark.parametrize(
    ("whole", "last", "marked"),
    [(True, "assistant", True), (True, "user", False), (False, "assistant", False)],
)
def test_an_asker_learns_the_mark_only_after_a_session_that_ended_with_an_answer(
    tmp_path, whole, last, marked
):
    row = session(1, split="train", ends_session=whole)
    if last == "user":
        row["messages"].append({"role": "user", "content": "And?"})
    for wanted in (True, False):
        launch = Launch()
        settings = {"base": "stub/model", "end_mark": wanted}
        folder = tmp_path / str(wanted)
        TrainAskStage(launch).process(
            FakeWork(small_recipe(train_ask=settings), folder, rows=[row])
        )
        learned = launch.train[0]["messages"][-1]["content"] == "<|end_of_session|>"
        assert learned == (marked and wanted)


def test_a_text_that_a_limit_cut_is_marked_for_the_trainer(tmp_path, monkeypatch):
    monkeypatch.setattr("parrot_core.stages.training.stages.resolve_model", lambda ref, run: ref)
    launch = Launch()
    reasons = (None, "stop", "stop", "length")
    origins = [{"finish_reason": reason} for reason in reasons]
    row = session(1) | {"provenance": origins}
    settings = {"base": "stub/model", "heldout_fraction": 0}
    TrainSftStage(launch).process(
        FakeWork(small_recipe(train_sft=settings), tmp_path / "sft", rows=[row])
    )
    assert [m.get("cut", False) for m in launch.train[0]["messages"]] == [False] * 3 + [True]
    rows = [pair(1, "neglect") | {"rejected_finish_reason": "length"}]
    work = FakeWork(small_recipe(train_dpo={"heldout_fraction": 0}), tmp_path / "dpo", rows=rows)
    TrainDpoStage(launch).process(work)
    assert [launch.train[0][side][0].get("cut") for side in ("chosen", "rejected")] == [None, True]


def test_sft_can_train_on_real_conversations_of_one_source(tmp_path):
    launch = Launch()
    settings = {"base": "stub/model", "data": "conversations", "source": "ultra*"}
    drawn = [("seed", "ultrachat_0"), ("train", "ultrachat_0"), ("seed", "ShareGPT")] * 2
    rows = [
        session(n, split=split) | {"source": source, "group": f"g{n}"}
        for n, (split, source) in enumerate(drawn)
    ]
    work = FakeWork(small_recipe(train_sft=settings | {"heldout_fraction": 0}), tmp_path, rows=rows)
    stage = TrainSftStage(launch)
    assert stage.reads(work.run) == ("conversations",)
    stage.process(work)
    assert [row["messages"][0]["content"] for row in launch.train] == ["q0", "q3"]
    assert work.metrics["examples"]["left_out"] == {"split_train": 2, "other_source": 2}


def test_an_asker_can_learn_from_one_source_alone(tmp_path):
    launch = Launch()
    names = ("sharegpt", "ultrachat")
    rows = [session(n, split="train", source=names[n % 2]) for n in range(6)]
    settings = {"base": "stub/model", "source": "sharegpt"}
    work = FakeWork(small_recipe(train_ask=settings), tmp_path, rows=rows)
    TrainAskStage(launch).process(work)
    assert [row["messages"][0]["content"] for row in launch.train] == ["q0", "q2", "q4"]
    assert work.metrics["examples"]["left_out"] == {"other_source": 3}


def test_sft_can_train_on_the_dialogues_seeded_from_one_source(tmp_path):
    launch = Launch()
    settings = {"base": "stub/model", "source": "ultra*", "heldout_fraction": 0}
    rows = [session(n) | {"id": f"{'ultra/part_1' if n % 2 else 'ShareGPT'}:{n}"} for n in range(6)]
    work = FakeWork(small_recipe(train_sft=settings), tmp_path, rows=rows)
    TrainSftStage(launch).process(work)
    assert len(launch.train) == 3


def test_the_pairs_of_a_held_out_query_are_all_held_out(tmp_path, monkeypatch):
    launch = Launch()
    monkeypatch.setattr("parrot_core.stages.training.stages.resolve_model", lambda ref, run: ref)
    settings = {"heldout_fraction": 0.3, "strategies": ["neglect", "hallucination"]}
    strategies = ("neglect", "hallucination", "misunderstanding")
    rows = [pair(n, strategy) for n in range(10) for strategy in strategies]
    work = FakeWork(small_recipe(train_dpo=settings), tmp_path, rows=rows)
    TrainDpoStage(launch).process(work)
    queries = [
        {row["prompt"][0]["content"] for row in part} for part in (launch.train, launch.heldout)
    ]
    assert [len(found) for found in queries] == [7, 3]
    assert not queries[0] & queries[1]
    assert work.metrics["examples"]["left_out"] == {"strategy_misunderstanding": 10}
    assert launch.job.model == "lake:parrot-sft"


def test_a_training_that_finds_fewer_than_it_was_asked_for_says_so(tmp_path):
    work = FakeWork(
        small_recipe(train_ask={"base": "stub/model", "max_examples": 5}),
        tmp_path,
        rows=[session(n, split="train") for n in range(3)] + [session(9, split="heldout")],
    )
    TrainAskStage(Launch()).process(work)
    assert work.warnings == [
        "trained on 3 sessions, fewer than the 5 of max_examples: there are no more"
    ]


def test_a_dataset_with_nothing_to_train_on_is_named_before_any_process_starts(tmp_path):
    work = FakeWork(small_recipe(), tmp_path, rows=[session(1, split="seed")])
    with pytest.raises(TrainingFailed, match=r"none of the 1 rows of 'conversations'.*split_seed"):
        TrainAskStage(Launch()).process(work)


def test_a_trainer_that_loses_an_example_is_caught(tmp_path):
    class Loses(Launch):
        def __call__(self, job, on_progress):
            figures = super().__call__(job, on_progress)
            figures["examples"]["train"]["used"] -= 1
            return figures

    work = FakeWork(small_recipe(), tmp_path, rows=[session(n, split="train") for n in range(3)])
    with pytest.raises(TrainingFailed, match="don't add up"):
        TrainAskStage(Loses()).process(work)
