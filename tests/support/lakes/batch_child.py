"""Synthesizes in batches and kills itself: ``python -m ….batch_child LAKE URL PHASE NTH``."""

import inspect
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from openai.resources.batches import AsyncBatches

from parrot_core.engines.batch.orders import BatchOrders
from parrot_core.engines.batch.rounds import Rounds
from parrot_core.execution.runs import begin_run
from parrot_core.lake.batch_records import BatchRecords
from parrot_core.lake.journal import Journal
from parrot_core.stages.synthesis.stage import SynthesizeStage
from tests.support.lakes.batch_runs import batch_recipe, drive_together


class Moment(NamedTuple):
    """Right before or after a call of a method."""

    owner: type
    method: str
    after: bool


PHASES = {
    "before the upload": Moment(BatchOrders, "upload", False),
    "uploaded": Moment(BatchOrders, "upload", True),
    "intent stored": Moment(BatchRecords, "intend", True),
    "created, id not stored": Moment(BatchOrders, "_create", True),
    "id stored": Moment(BatchRecords, "decide", True),
    "in work": Moment(AsyncBatches, "retrieve", True),
    "before the download": Moment(BatchOrders, "results", False),
    "downloaded": Moment(BatchOrders, "results", True),
    "before a journal write": Moment(Journal, "_write", False),
    "after a journal write": Moment(Journal, "_write", True),
    "before the round is closed": Moment(BatchRecords, "close", False),
    "closed": Moment(BatchRecords, "close", True),
    "answers handed out": Moment(Rounds, "taken", True),
}


def die_at(phase: str, nth: int) -> None:
    """Make the ``nth`` call of the phase's method the last thing that this process does."""
    moment = PHASES[phase]
    original: Callable[..., Any] = getattr(moment.owner, moment.method)
    calls = 0

    def due() -> bool:
        nonlocal calls
        calls += 1
        return calls == nth

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def call(*args: Any, **kwargs: Any) -> Any:
        last = due()
        if last and not moment.after:
            die()
        result = original(*args, **kwargs)
        if last:
            die()
        return result

    async def await_call(*args: Any, **kwargs: Any) -> Any:
        last = due()
        if last and not moment.after:
            die()
        result = await original(*args, **kwargs)
        if last:
            die()
        return result

    patched = await_call if inspect.iscoroutinefunction(original) else call
    setattr(moment.owner, moment.method, patched)


def main() -> None:
    """Do the stage; end by SIGKILL, or normally if the phase never came."""
    lake, base_url, phase, nth = sys.argv[1:]
    if phase in PHASES:
        die_at(phase, int(nth))
    drive_together(begin_run(batch_recipe(lake, base_url)), SynthesizeStage())


if __name__ == "__main__":
    main()
