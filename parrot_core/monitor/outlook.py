"""Projects a run: time and money left, current speed, and shares of cut and rejected answers.

A stage in work is taken to go on as it went so far. What a later stage needs is told by whoever
asks, from a forecast; a stage that nobody can tell anything of is named rather than counted as
nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from parrot_core.monitor.costs import known_usd, unpriced, usage_of
from parrot_core.monitor.over_time import Moment
from parrot_core.monitor.state import RunState, StageState

RECENT = 6
"""The last sixth of a stage's time counts as now."""

WARN_AT = 0.95
"""Part of the budget from which a projected total is a warning."""


@dataclass(frozen=True, slots=True)
class Projection:
    """What a forecast says of a stage that has not begun."""

    usd: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """How the run will end, if it goes on like this."""

    seconds_left: float | None
    usd_left: float | None
    usd_total: float | None  # at least, where some money isn't known
    exact: bool  # whether all money is in the sums
    unknown: tuple[str, ...]  # stages whose time or money is not in the sums
    unpriced: tuple[str, ...]  # those whose money isn't
    budget_usd: float | None

    @property
    def over_budget(self) -> bool:
        """Whether the total will come near the budget or pass it."""
        known = self.budget_usd is not None and self.usd_total is not None
        return known and (self.usd_total or 0.0) > WARN_AT * (self.budget_usd or 0.0)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a stage goes now."""

    usd_per_hour: float
    tokens_per_s: float
    truncated: float | None  # share of the answers
    rejected: float | None  # share of the units done


def outlook(state: RunState, expected: Mapping[str, Projection]) -> Outlook:
    seconds, usd = 0.0, 0.0
    unknown: list[str] = []
    unpriced_stages: list[str] = []
    recipe = state.header.recipe
    for stage in state.own_stages:
        if stage.published:
            continue
        left_s, left_usd = _left(stage, expected.get(stage.name), recipe)
        if left_s is None or left_usd is None:
            unknown.append(stage.name)
        if left_usd is None:
            unpriced_stages.append(stage.name)
        seconds += left_s or 0.0
        usd += left_usd or 0.0
    over = state.status == "done"
    return Outlook(
        None if over else seconds,
        None if over else usd,
        state.usd + usd,
        not (unpriced_stages or unpriced(usage_of(state), recipe)),
        tuple(unknown),
        tuple(unpriced_stages),
        state.header.budget_usd,
    )


def pace(stage: StageState, moments: Sequence[Moment]) -> Pace:
    """Speed of a stage in work, from how it went lately; shares of all it did."""
    recent = moments[-max(1, len(moments) // RECENT) :]
    traffic = stage.traffic.values()
    answers = sum(each.answers for each in traffic)
    cut = sum(each.truncated for each in traffic)
    many = max(1, len(recent))
    return Pace(
        3600 * sum(moment.usd for moment in recent) / many,
        sum(moment.tokens for moment in recent) / many,
        cut / answers if answers else None,
        stage.rejects / stage.done if stage.done and stage.kind == "dataset" else None,
    )


def usd_of_shards(
    stage: StageState, recipe: Mapping[str, object], shards: Collection[int] = ()
) -> float | None:
    """What finishing some shards of a stage may cost, at what its units cost so far.

    Args:
        shards: their numbers; empty for all that are not done.

    Returns:
        Dollars; None where nothing of the stage was finished yet, or a price isn't known.
    """
    if unpriced(stage.usage.items(), recipe):
        return None
    paid = [shard for shard in stage.shards if shard.done and shard.usage]
    units = sum(shard.done for shard in paid)
    if not units:
        return None
    price = sum(used.usd for shard in paid for used in shard.usage.values()) / units
    wanted = [s for s in stage.shards if s.status != "done" and (not shards or s.index in shards)]
    totals = [(s.total or units / len(paid)) - s.done for s in wanted]
    return price * sum(max(0.0, left) for left in totals)


def _left(
    stage: StageState, expected: Projection | None, recipe: Mapping[str, object]
) -> tuple[float | None, float | None]:
    if stage.done and stage.total:
        part = (stage.total - stage.done) / stage.done
        seconds = stage.eta_s if stage.eta_s is not None else stage.seconds * part
        usd = known_usd(stage.usage.items(), recipe)
        return seconds, None if usd is None else usd * part
    if expected is None:
        return None, None if stage.kind == "dataset" else 0.0
    return expected.seconds, expected.usd
