"""Has each writer of a proof continue the same conversations, one writer after the other."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from parrot_core.engines.connection import model_identity, open_engines
from parrot_core.engines.in_flight import in_flight
from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.types import ChatModel, Message, RowError
from parrot_core.lake.journal import Journal
from parrot_core.lake.run import Run
from parrot_core.lake.shard_records import ShardRecords
from parrot_core.recipe import Engine, Sampling
from parrot_core.stages.synthesis.role_play import role_play
from parrot_core.telemetry.progress import SILENT, ProgressReporter

STAGE = "prove"
"""Where the journal lies in the run's records, so that the run's budget counts what it cost."""
_JOURNAL_SPACING_S = 0.2
_AT_ONCE = 32

Histories = Mapping[str, Sequence[Message]]
"""What is gone on from, by the name of the sample."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes. One that ``plays`` is told to; the others' own templates open a user turn."""

    name: str
    engine: Engine
    plays: bool = False

    def prompt(self, history: Sequence[Message]) -> list[Message]:
        return role_play(history) if self.plays else list(history)


def write(
    run: Run,
    writer: Writer,
    histories: Histories,
    sampling: Sampling,
    folder: Path,
    reporter: ProgressReporter = SILENT,
) -> dict[str, str]:
    """Have a writer go on from every history; a text is empty where its engine gave one up.

    What it writes is journaled under the run's records, so that it is never asked for twice; once
    all is there it is kept in ``folder``, and no engine is started for it again.

    Raises:
        EngineError: the engine can't be reached, or the budget is reached.
    """
    identity = model_identity(run, writer.engine)
    asked = json.dumps([identity, sampling.model_dump(mode="json"), writer.plays, dict(histories)])
    kept = folder / f"{writer.name}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}.json"
    if kept.exists():
        found: dict[str, str] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    name = f"{STAGE}-{writer.name}"
    engines = {**run.recipe.engines, name: writer.engine}
    widened = Run(
        run.name, run.recipe.model_copy(update={"engines": engines}), run.lake, run.work_dir
    )
    with open_engines(widened, [name], Budget(run.recipe.budget_usd), STAGE) as opened:
        place = ShardRecords(run.lake.storage, run.name, STAGE, 0).journal_folder
        journal = Journal(run.lake.storage, place, _JOURNAL_SPACING_S)
        try:
            model = opened.journaled(name, journal, 0)
            written = asyncio.run(write_all(writer, model, histories, sampling, reporter))
        finally:
            journal.close()
    kept.write_text(json.dumps(written), encoding="utf-8")
    return written


async def write_all(
    writer: Writer,
    model: ChatModel,
    histories: Histories,
    sampling: Sampling,
    reporter: ProgressReporter = SILENT,
) -> dict[str, str]:
    """See :func:`write`."""
    written: dict[str, str] = dict.fromkeys(histories, "")

    async def one(sample: str) -> None:
        try:
            completion = await model.complete(
                writer.prompt(histories[sample]), sampling, sample=f"{sample}/{writer.name}"
            )
        except RowError:
            return  # counted as an empty query
        finally:
            reporter.progress(1)
        written[sample] = completion.text.strip()

    reporter.step(f"{writer.name}: writing", len(histories))
    await in_flight(list(histories), _AT_ONCE, one)
    return written
