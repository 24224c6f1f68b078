"""The stage ``filter``: synthesized dialogues to the Parrot dataset."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from parrot_core.engines.types import Message
from parrot_core.lake.lake import DatasetVersion
from parrot_core.lake.metrics import FilterMetrics
from parrot_core.lake.reviews import read_flagged
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan, Slice
from parrot_core.recipe import Filter
from parrot_core.stages.base import Row, ShardWork, Stage
from parrot_core.stages.filters import first_failing
from parrot_core.stages.filters.copies import QueryCopies
from parrot_core.stages.filters.rule import Heard, Turn

Copies = Mapping[int, int]
"""By turn, from 0: in how many sessions before almost the same query was asked."""


class FilterStage(Stage):
    """Applies the recipe's rules to every turn of every dialogue; a shard a file of dialogues.

    A turn that fails ends its session there: the turns before it are kept if they are enough,
    with ``end_reason`` ``filter:<rule>``; else, and always if the recipe's ``drop_session`` names
    the rule, the session is rejected for that rule, with its whole original. Whether a query is
    ``copied`` takes all shards: it is counted once, when the stage is planned, and the few queries
    with more copies than allowed are in the plan. Metrics: ``truncated_by_rule`` (sessions kept in
    part), ``turns_in``, ``turns_out``.
    """

    name = "filter"
    output = "parrot"
    metrics = FilterMetrics
    inputs = ("dialogues",)
    settings_read = ("filter",)
    summary = "Rules over the synthesized dialogues."
    output_summary = "Multi-turn dialogues of an asking and an answering model, filtered."

    def plan(self, run: Run) -> Sequence[ShardPlan]:
        """One shard a file of the dialogues, with the places of copied queries in it.

        Raises:
            UserError: the recipe names an export of flagged rows that isn't there.
        """
        _flagged(run)
        version = run.version_of("dialogues")
        dialogues = run.lake.dataset("dialogues", version)
        settings = run.recipe.filter
        copied = _copied(run, dialogues) if "copied" in settings.rules else {}
        shards: list[ShardPlan] = []
        first = 0
        for position, entry in enumerate(dialogues.manifest.files):
            places = [
                [row - first, turn, count]
                for row in range(first, first + entry.rows)
                for turn, count in copied.get(row, ())
            ]
            first += entry.rows
            inputs = (Slice("dialogues", version, position, 0, entry.rows),)
            shards.append(ShardPlan(position, inputs, {"copied": places} if places else {}))
        return shards

    def process(self, work: ShardWork) -> None:
        settings = work.run.recipe.filter
        copies: dict[int, dict[int, int]] = {}
        for row_place, turn, count in work.plan.params.get("copied", ()):
            copies.setdefault(row_place, {})[turn] = count
        flagged = _flagged(work.run)
        truncated: Counter[str] = Counter()
        turns: Counter[str] = Counter(turns_in=0, turns_out=0)
        for place, row in enumerate(work.rows()):
            work.expect(1)
            turns["turns_in"] += len(row["messages"]) // 2  # a system message makes none
            kept, failure = _good_turns(row["messages"], copies.get(place, {}), settings)
            if row["id"] in flagged:
                work.reject(row["id"], [row["id"]], "flagged", row, f"export {settings.flagged}")
            elif kept < settings.min_turns or (failure and failure[0] in settings.drop_session):
                reason, detail = failure or ("too_few_turns", "")
                where = f"turn {kept + 1}: {detail}" if failure else f"{kept} turns"
                work.reject(row["id"], [row["id"]], reason, row, where)
            else:
                work.emit(_first_turns(row, kept, failure))
                turns["turns_out"] += kept
                truncated.update([failure[0]] if failure else [])
            work.progress(place + 1, work.plan.rows)
        work.metric("truncated_by_rule", dict(truncated.most_common()))
        for name, count in turns.items():
            work.metric(name, count)


def _flagged(run: Run) -> frozenset[str]:
    """Ids that reviewers flagged, where the recipe names an export of them."""
    name = run.recipe.filter.flagged
    return frozenset(read_flagged(run.lake.storage, name).ids) if name else frozenset()


def turns_of(messages: Sequence[Message], copies: Copies) -> Iterator[Turn]:
    """The turns of a session as the rules see them, in order; a system prompt is none of them."""
    said, heard = messages[leading(messages) :], Heard()
    for start in range(0, len(said) - 1, 2):
        yield Turn(
            query=said[start]["content"],
            earlier=said[:start],
            response=said[start + 1]["content"],
            copies=copies.get(start // 2, 0),
            heard=heard,
        )


def leading(messages: Sequence[Message]) -> int:
    """How many messages stand before the first query: a system prompt, or none."""
    return int(bool(messages) and messages[0]["role"] == "system")


def _copied(run: Run, dialogues: DatasetVersion) -> dict[int, list[tuple[int, int]]]:
    """By row of the version: the turns whose queries have too many copies, and how many."""
    places: list[tuple[int, int]] = []
    with QueryCopies(run.work_dir / "filter") as queries:
        for row, dialogue in enumerate(dialogues.rows(["messages"])):
            said = dialogue["messages"][leading(dialogue["messages"]) :]
            for turn, message in enumerate(said[2::2], start=1):
                if queries.add(row, message["content"]):
                    places.append((row, turn))
        counts = queries.counts().tolist()
    found: dict[int, list[tuple[int, int]]] = {}
    for (row, turn), count in zip(places, counts, strict=True):
        if count > run.recipe.filter.max_copies:
            found.setdefault(row, []).append((turn, count))
    return found


def _good_turns(
    messages: Sequence[Message], copies: Copies, settings: Filter
) -> tuple[int, tuple[str, str] | None]:
    """Turns before the first one that fails a rule, and how it fails."""
    for number, turn in enumerate(turns_of(messages, copies)):
        failure = first_failing(turn, settings)
        if failure:
            return number, failure
    return len(messages) // 2, None


def _first_turns(row: Row, turns: int, failure: tuple[str, str] | None) -> Row:
    kept = leading(row["messages"]) + 2 * turns
    return {
        **row,
        "source_ids": [row["id"]],
        "messages": row["messages"][:kept],
        "provenance": (row["provenance"] or [])[:kept],
        "thinking": (row.get("thinking") or [])[:kept],
        "n_turns": turns,
        "end_reason": f"filter:{failure[0]}" if failure else row["end_reason"],
    }
