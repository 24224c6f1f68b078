"""The stage ``filter``: synthesized dialogues to the Parrot dataset."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from parrot_core.filters import first_failure
from parrot_core.lake.reviews import read_flagged
from parrot_core.recipe import Filter
from parrot_core.stage import Row, Run, ShardPlan, ShardWork, Slice, Stage


class FilterStage(Stage):
    """Applies the recipe's rules to every query of every dialogue; a shard a file of dialogues.

    A query that fails ends its session there: the turns before it are kept if they are enough,
    with ``end_reason`` ``filter:<rule>``; else the session is rejected for that rule, with its
    whole original. Metrics: ``truncated_by_rule`` (sessions kept in part), ``turns_in``,
    ``turns_out``.
    """

    name = "filter"
    output = "parrot"
    inputs = ("dialogues",)

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """One shard a file of the dialogues; an export of flagged rows must be there."""
        _flagged(run)
        version = run.version_of("dialogues")
        files = run.lake.dataset("dialogues", version).manifest.files
        return [
            ShardPlan(position, (Slice("dialogues", version, position, 0, entry.rows),))
            for position, entry in enumerate(files)
        ]

    def process(self, work: ShardWork) -> None:
        """Filter one file."""
        settings = work.run.recipe.filter
        flagged = _flagged(work.run)
        truncated: Counter[str] = Counter()
        turns: Counter[str] = Counter(turns_in=0, turns_out=0)
        for done, row in enumerate(work.rows(), start=1):
            work.expect(1)
            turns["turns_in"] += len(row["messages"]) // 2
            kept, failure = _good_turns(row["messages"], settings)
            if row["id"] in flagged:
                work.reject(row["id"], [row["id"]], "flagged", row, f"export {settings.flagged}")
            elif kept < settings.min_turns:
                reason, detail = failure or ("too_few_turns", "")
                where = f"query {kept + 1}: {detail}" if failure else f"{kept} turns"
                work.reject(row["id"], [row["id"]], reason, row, where)
            else:
                work.emit(_first_turns(row, kept, failure))
                turns["turns_out"] += kept
                truncated.update([failure[0]] if failure else [])
            work.progress(done, work.plan.rows)
        work.metric("truncated_by_rule", dict(truncated.most_common()))
        for name, count in turns.items():
            work.metric(name, count)


def _flagged(run: Run) -> frozenset[str]:
    """Ids that reviewers flagged, where the recipe names an export of them."""
    name = run.recipe.filter.flagged
    return frozenset(read_flagged(run.lake.storage, name).ids) if name else frozenset()


def _good_turns(messages: Any, settings: Filter) -> tuple[int, tuple[str, str] | None]:
    """Turns before the first query that fails a rule, and how it fails."""
    for start in range(0, len(messages) - 1, 2):
        failure = first_failure(messages[start]["content"], messages[:start], settings)
        if failure:
            return start // 2, failure
    return len(messages) // 2, None


def _first_turns(row: Row, turns: int, failure: tuple[str, str] | None) -> Row:
    return {
        **row,
        "source_ids": [row["id"]],
        "messages": row["messages"][: 2 * turns],
        "provenance": (row["provenance"] or [])[: 2 * turns],
        "n_turns": turns,
        "end_reason": f"filter:{failure[0]}" if failure else row["end_reason"],
    }
