"""What stages share when they plan: shards of a published version, the models they read."""

import sys
from collections.abc import Sequence

from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan, Slice
from parrot_core.recipe import VllmEngine


def own_models(run: Run, engines: Sequence[str]) -> tuple[str, ...]:
    """The models of this run's versions that engines serve, each once."""
    settings = [run.recipe.engines[name] for name in engines if name in run.recipe.engines]
    models = [engine.model for engine in settings if isinstance(engine, VllmEngine)]
    own = [model.removeprefix("lake:") for model in models if model.startswith("lake:")]
    return tuple(dict.fromkeys(name for name in own if "@" not in name))


def shards_of(run: Run, dataset: str, rows_per_shard: int) -> Sequence[ShardPlan]:
    """Shards of at most ``rows_per_shard`` consecutive rows; one may span several files.

    Raises:
        MissingVersion: the dataset has not been published.
    """
    version = run.version_of(dataset)
    files = run.lake.dataset(dataset, version).manifest.files
    shards: list[ShardPlan] = []
    pieces: list[Slice] = []
    room = rows_per_shard
    for position, entry in enumerate(files):
        start = 0
        while start < entry.rows:
            take = min(room, entry.rows - start)
            pieces.append(Slice(dataset, version, position, start, take))
            start += take
            room -= take
            if room == 0:
                shards.append(ShardPlan(len(shards), tuple(pieces)))
                pieces, room = [], rows_per_shard
    if pieces:
        shards.append(ShardPlan(len(shards), tuple(pieces)))
    return shards


def one_shard(run: Run, dataset: str) -> Sequence[ShardPlan]:
    """One shard over all files, for work that goes across them."""
    return shards_of(run, dataset, sys.maxsize) or [ShardPlan(0)]
