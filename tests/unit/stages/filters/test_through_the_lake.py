"""What one shard can't see, copies across sessions, is counted when the stage is planned."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from parrot_core.execution.runs import begin_run
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.stages.base import ShardWork, Stage
from parrot_core.stages.filters.stage import FilterStage
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import drive

RUT = "Could you please write a short poem about this and make every second line rhyme?"
SESSIONS = 6
SHARDS = 3


class Dialogues(Stage):
    """Publishes sessions in three files; each has a query of its own, then the same one."""

    name: ClassVar[str] = "synthesize"
    output: ClassVar[str] = "dialogues"

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        return [ShardPlan(index) for index in range(SHARDS)]

    def process(self, work: ShardWork) -> None:
        for number in range(work.plan.index, SESSIONS, SHARDS):
            work.expect(1)
            queries = [f"Tell me about river {number}", "Where does it rise?", RUT, "Why is it so?"]
            work.emit(
                {
                    "id": f"d{number}",
                    "source_ids": [f"s{number}"],
                    "language": "en",
                    "messages": [
                        {"role": role, "content": text}
                        for place, query in enumerate(queries)
                        for role, text in (
                            ("user", query),
                            ("assistant", f"Answer {number}.{place} with words of its own."),
                        )
                    ],
                    "provenance": [],
                    "n_turns": 4,
                    "end_reason": "max_turns",
                }
            )


def _filtered(folder: Path, **settings: Any) -> tuple[dict[str, str], dict[str, str]]:
    recipe = minimal_recipe(str(folder / "lake"), filter=settings)
    run = begin_run(recipe)
    drive(run, Dialogues())
    drive(run, FilterStage())
    version = run.lake.dataset("parrot", run.name)
    kept = {row["id"]: row["end_reason"] for row in version.rows()}
    refused = {row["id"]: row["reason"] for row in version.rejects()}
    assert len(kept) + len(refused) == SESSIONS
    return kept, refused


def test_sessions_end_before_a_query_that_too_many_had_before_them(tmp_path: Path) -> None:
    kept, refused = _filtered(tmp_path, max_copies=3)
    assert not refused
    assert sorted(kept.values()) == ["filter:copied"] * 2 + ["max_turns"] * 4


def test_without_the_rule_nothing_is_counted(tmp_path: Path) -> None:
    kept, refused = _filtered(tmp_path, rules=["short", "repetitive"], max_copies=0)
    assert not refused
    assert set(kept.values()) == {"max_turns"}


@pytest.mark.parametrize(("drop", "rejected"), [((), 0), (("copied",), 5)])
def test_a_rule_may_throw_out_the_whole_session(
    tmp_path: Path, drop: tuple[str, ...], rejected: int
) -> None:
    kept, refused = _filtered(tmp_path, max_copies=0, drop_session=drop)
    assert len(refused) == rejected
    assert set(refused.values()) <= {"copied"}
    assert sorted(kept.values()).count("max_turns") == 1
