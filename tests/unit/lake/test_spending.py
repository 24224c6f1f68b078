import asyncio
from pathlib import Path

from parrot_core.engines.limits.limits import Budget
from parrot_core.execution.plans import unfinished
from parrot_core.execution.stage_worker import open_stage
from parrot_core.lake.journal import Entry, Journal
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.spending import Spending
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.toy_stages import drive, synthesis
from tests.support.servers.fake_api import serving


def entry(key: str, usd: float) -> Entry:
    return Entry(key, "s", "answerer", "m", "text", "stop", 1, 1, usd, "now")


async def journal(folder: str, run_storage: object, entries: list[Entry]) -> None:
    kept = Journal(run_storage, folder, 0.0)  # type: ignore[arg-type]
    await asyncio.gather(*(kept.record(each) for each in entries))


def test_what_is_journaled_committed_and_published_counts_once(tmp_path: Path) -> None:
    with serving() as api:
        run = synthesis(tmp_path, api.base_url)
        storage = run.lake.storage
        spending = Spending(storage, "test")
        assert spending.total() == 0
        with open_stage(run, SynthesizeStage(), Budget(None)) as opened:
            first, second = unfinished(run, opened.plan)
            receipt = opened.run_shard(first)
            paid = sum(used.usd for used in receipt.usage.values())
            assert abs(spending.total() - paid) < 1e-9
            folder = StageRecords(storage, "test", "synthesize").shard(second.index).journal_folder
            asyncio.run(journal(folder, storage, [entry("a", 1.5), entry("b", 0.25)]))
            asyncio.run(journal(folder, storage, [entry("a", 1.5)]))  # bought by two attempts
            assert abs(spending.total() - paid - 1.75) < 1e-9
            assert abs(Spending(storage, "test").total() - paid - 1.75) < 1e-9
        manifest = drive(run, SynthesizeStage())
        assert abs(spending.total() - manifest.usd) < 1e-9
        assert abs(Spending(storage, "test").total() - manifest.usd) < 1e-9
