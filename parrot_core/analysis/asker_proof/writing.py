"""Let a trained asker and a model that is told to play the user write the next query."""

import asyncio
from collections.abc import Sequence

from parrot_core.analysis.asker_proof.contexts import HeldOutContext
from parrot_core.engines.connection import open_engines
from parrot_core.engines.in_flight import in_flight
from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.types import ChatModel, RowError
from parrot_core.lake.journal import Journal
from parrot_core.lake.run import Run
from parrot_core.lake.shard_records import ShardRecords
from parrot_core.recipe import Sampling
from parrot_core.stages.synthesis.role_play import role_play
from parrot_core.telemetry.progress import SILENT, ProgressReporter

STAGE = "prove"
"""Where the journal lies in the run's records, so that the run's budget counts what it cost."""
_JOURNAL_SPACING_S = 0.2
_AT_ONCE = 16


def write_queries(
    run: Run,
    contexts: Sequence[HeldOutContext],
    asker: str,
    instruct: str,
    sampling: Sampling,
    reporter: ProgressReporter = SILENT,
) -> tuple[list[str], list[str]]:
    """Have both engines of the run's recipe write the next query of every context.

    What they write is journaled under the run's records: it is never asked for twice.

    Returns:
        The asker's and the instruct model's queries, in the order of the contexts; an empty text
        where an engine gave a context up.

    Raises:
        EngineError: an engine can't be reached, or the budget is reached.
    """
    with open_engines(run, [asker, instruct], Budget(run.recipe.budget_usd), STAGE) as engines:
        folder = ShardRecords(run.lake.storage, run.name, STAGE, 0).journal_folder
        journal = Journal(run.lake.storage, folder, _JOURNAL_SPACING_S)
        models = [engines.journaled(name, journal, 0) for name in (asker, instruct)]
        try:
            return asyncio.run(ask_both(contexts, models[0], models[1], sampling, reporter))
        finally:
            journal.close()


async def ask_both(
    contexts: Sequence[HeldOutContext],
    asker: ChatModel,
    instruct: ChatModel,
    sampling: Sampling,
    reporter: ProgressReporter = SILENT,
) -> tuple[list[str], list[str]]:
    """See :func:`write_queries`; the asker gets the history itself, its template does the rest."""
    written: dict[tuple[str, str], str] = {}

    async def one(job: tuple[str, ChatModel, HeldOutContext]) -> None:
        who, model, context = job
        messages = role_play(context.history) if who == "instruct" else list(context.history)
        try:
            sample = f"{context.id}/{STAGE}/{who}"
            completion = await model.complete(messages, sampling, sample=sample)
        except RowError:
            return  # counted as an empty query
        finally:
            reporter.progress(1)
        written[who, context.id] = completion.text.strip()

    reporter.step("follow-ups: writing", 2 * len(contexts))
    writers = (("asker", asker), ("instruct", instruct))
    jobs = [(who, model, context) for context in contexts for who, model in writers]
    await in_flight(jobs, 2 * _AT_ONCE, one)
    asked, played = (
        [written.get((who, context.id), "") for context in contexts] for who, _ in writers
    )
    return asked, played
