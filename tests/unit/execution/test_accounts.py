"""Whatever engines do: rows in = rows out + rejects, and each input ends exactly once in one."""

import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.engines.types import EveryRequestRefused
from parrot_core.errors import PartiallyFailed
from parrot_core.execution.plans import plan_stage
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.verify import verify_version
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.toy_stages import SEEDS, drive, synthesis
from tests.support.servers.fake_api import FakeApi, Reply, canonical, serving

BEHAVIOURS = (
    "text",
    "empty",
    "same",
    "cut",
    "filtered",
    "filtered_late",
    "context_full",
    "refused",
    "broken",
)


@pytest.fixture(scope="module")
def api() -> Iterator[FakeApi]:
    with serving() as running:
        yield running


def scripted(script: list[str], *, healed: bool) -> Any:
    """What an engine does depends on the request alone, and so is the same on each attempt."""

    def behave(number: int, body: dict[str, Any]) -> Reply:
        crc = zlib.crc32(canonical(body).encode())
        kind = script[crc % len(script)]
        match kind:
            case "empty":
                return Reply("")
            case "same":
                return Reply(body["messages"][0]["content"])
            case "cut":
                return Reply(f"cut off {crc}", finish_reason="length")
            case "filtered_late":
                return Reply("I", finish_reason="content_filter")
            case "filtered":
                return Reply(status=400, error={"code": "content_filter"})
            case "context_full":
                return Reply(status=400, error={"code": "context_length_exceeded"})
            case "refused":
                return Reply(status=422)
            case "broken" if not healed:
                return Reply(status=500)
        return Reply(f"said {crc}")

    return behave


def check_accounts(run: Run, manifest: Manifest) -> None:
    version = run.lake.dataset("dialogues", run.name)
    out, rejected = list(version.rows()), list(version.rejects())
    accounts = manifest.accounting
    assert accounts.rows_in == accounts.source_rows == SEEDS
    assert (accounts.rows_out, accounts.rows_rejected) == (len(out), len(rejected))
    ends = sorted(row["id"] for row in (*out, *rejected))
    assert ends == sorted(f"s{n}" for n in range(SEEDS)), "each input once"
    reasons = [row["reason"] for row in rejected]
    assert accounts.rejected == {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    for row in out:
        assert all(message["content"] for message in row["messages"]), "an error is no answer"

    state = StageRecords(run.lake.storage, run.name, "synthesize")
    shards = [
        state.shard(shard.index).receipt() for shard in plan_stage(run, SynthesizeStage()).shards
    ]
    for receipt in shards:
        assert receipt is not None
        mine = receipt.accounting
        assert mine.rows_in == mine.rows_out + mine.rows_rejected
        assert sum(entry.rows for entry in receipt.files) == mine.rows_out
        assert sum(entry.rows for entry in receipt.reject_files) == mine.rows_rejected
    assert sum(receipt.accounting.rows_in for receipt in shards if receipt) == SEEDS
    assert verify_version(run.lake, manifest) == []


@settings(max_examples=20, deadline=None)
@given(
    script=st.lists(st.sampled_from(BEHAVIOURS), min_size=1, max_size=12),
    min_turns=st.integers(1, 3),
    sessions_per_shard=st.sampled_from([2, 5, SEEDS]),
)
def test_accounts_close_whatever_the_engines_do(
    tmp_path_factory: pytest.TempPathFactory,
    api: FakeApi,
    script: list[str],
    min_turns: int,
    sessions_per_shard: int,
) -> None:
    synthesize = {
        "max_turns": 3,
        "min_turns": min_turns,
        "sessions_per_shard": sessions_per_shard,
    }
    lake = tmp_path_factory.mktemp("lake")
    allowed = ["synthesize"]  # where nothing comes out, that must add up, too
    run = synthesis(lake, api.base_url, synthesize=synthesize, allow_empty=allowed)
    api.behaviour = scripted(script, healed=False)
    try:
        manifest = drive(run, SynthesizeStage())
    except EveryRequestRefused:  # a small request as well: the run stops, and no row is at fault
        assert {"refused", "context_full"} & set(script)
        api.behaviour = scripted(["text"], healed=True)
        manifest = drive(run, SynthesizeStage())
    except PartiallyFailed:
        assert "broken" in script
        api.behaviour = scripted([kind for kind in script if kind == "broken"], healed=True)
        manifest = drive(run, SynthesizeStage())
    check_accounts(run, manifest)
