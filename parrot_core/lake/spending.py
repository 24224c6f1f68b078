"""What a run has spent: manifests, receipts and journals, read so that nothing is missed."""

from concurrent.futures import ThreadPoolExecutor

from parrot_core.lake.journal import checks_folder, read_entries
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.records import read_record
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.stage_plan import StagePlan
from parrot_core.lake.storage import Storage

READERS = 16


class Spending:
    """Sums a run's cost again and again; what can't change any more is read once."""

    def __init__(self, storage: Storage, run: str) -> None:
        self._storage = storage
        self._run = run
        self._plans: dict[str, StagePlan] = {}
        self._stages: dict[str, float] = {}  # published
        self._shards: dict[tuple[str, int], float] = {}  # with a receipt

    def total(self) -> float:
        """Dollars of every completion that is in the lake now, each counted once."""
        folder = f"runs/{self._run}"
        begun: dict[str, set[int]] = {}
        for path in self._storage.list(folder):
            parts = path.split("/")
            if len(parts) > 4 and parts[3] == "shards":
                begun.setdefault(parts[2], set()).add(int(parts[4]))
            elif len(parts) > 4 and parts[3] == "checks":
                begun.setdefault(parts[2], set())
        return sum(self._stage(stage, shards) for stage, shards in begun.items())

    def _stage(self, stage: str, shards: set[int]) -> float:
        if stage not in self._stages:
            published = self._published(stage)
            if published is None:
                asked = read_entries(self._storage, checks_folder(self._run, stage))
                checks = sum(entry.usd for entry in asked)
                with ThreadPoolExecutor(READERS) as pool:
                    costs = pool.map(lambda shard: self._shard(stage, shard), sorted(shards))
                    return checks + sum(costs)
            self._stages[stage] = published
        return self._stages[stage]

    def _published(self, stage: str) -> float | None:
        plan = self._plans.get(stage) or StageRecords(self._storage, self._run, stage).plan()
        if plan is None:
            return None
        self._plans[stage] = plan
        path = f"{plan.kind}s/{plan.output}/{self._run}/manifest.json"
        manifest = read_record(self._storage, path, Manifest)
        return None if manifest is None else manifest.usd

    def _shard(self, stage: str, shard: int) -> float:
        """A journal goes only after the receipt has come: so it is read first."""
        if (stage, shard) in self._shards:
            return self._shards[stage, shard]
        records = StageRecords(self._storage, self._run, stage).shard(shard)
        try:
            entries = read_entries(self._storage, records.journal_folder)
            journaled = {entry.key: entry.usd for entry in entries}
        except FileNotFoundError:  # removed while we read: the receipt is there
            journaled = {}
        receipt = records.receipt()
        if receipt is None:
            return sum(journaled.values())
        self._shards[stage, shard] = sum(used.usd for used in receipt.usage.values())
        return self._shards[stage, shard]
