"""A few rows of a stage before its run: made as the run makes them, shown, and not published.

What engines answer is journaled where the run looks for it, under the keys that the run will ask
for; so the run buys none of it again.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from parrot_core.engines.connection import Engines, open_engines
from parrot_core.engines.types import ChatModel, Completion, Message
from parrot_core.errors import UserError
from parrot_core.execution.runs import budget_of
from parrot_core.execution.selection import check_selection
from parrot_core.execution.shard_work import journal_spacing, rows_of
from parrot_core.lake.checkpoints import Checkpoints
from parrot_core.lake.journal import Journal, preview_folder, usage_of
from parrot_core.lake.manifest import Usage
from parrot_core.lake.run import Run
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.recipe import Sampling
from parrot_core.stages.base import Row
from parrot_core.stages.registry import stage_named

PREVIEWED = ("synthesize", "select", "capo", "evaluate")
"""The stages that ask engines row by row."""
ONE_A_SHARD = {
    "synthesize": {"sessions_per_shard": 1},
    "select": {"sessions_per_shard": 1, "limit": 1_000_000, "proof_queries": 0},
    "capo": {"queries_per_shard": 1},
    "evaluate": {"questions_per_shard": 1},
}
"""Settings that make each row a shard and ask for nothing else; no request depends on them."""


class Viewer(Protocol):
    """Whoever shows a preview as it is written."""

    def begins(self, row: Row) -> None: ...

    def said(self, sample: str, engine: str, completion: Completion) -> None: ...

    def made(self, row: Row) -> None: ...

    def refused(self, reject: Row) -> None: ...


@dataclass(frozen=True, slots=True)
class Previewed:
    """What a preview made, and what it took."""

    stage: str
    rows: list[Row] = field(default_factory=list)
    rejects: list[Row] = field(default_factory=list)
    usage: Usage = field(default_factory=dict)
    bought: int = 0  # completions that no earlier preview had


def preview(
    run: Run, stage: str, number: int, viewer: Viewer, openings: Sequence[str] = ()
) -> Previewed:
    """Work on the first rows of a stage, one after the other.

    Args:
        run: as it would be; it needn't have begun.
        stage: one of ``PREVIEWED``.
        openings: first queries to begin dialogues with, instead of the seeds.

    Raises:
        UserError: no such stage, or what it reads isn't there.
        EngineError: an engine stopped it; what was bought is kept.
        RunStopped: the process is to stop; the same.
    """
    if stage not in PREVIEWED:
        raise UserError(f"preview: expected a stage of {', '.join(PREVIEWED)}, not '{stage}'")
    made = stage_named(stage)
    if openings and stage != "synthesize":
        raise UserError(f"preview: openings begin dialogues, and '{stage}' makes none")
    small = _one_a_shard(run, stage)
    if not openings:
        check_selection(small, [made])
    shards = [] if openings else _first_shards(made.plan(small), number)
    rows = [[opening_row(query)] for query in openings]
    plans = shards or [ShardPlan(index) for index in range(len(rows))]
    storage = run.lake.storage
    journal = Journal(
        storage, preview_folder(run.recipe.name, stage), journal_spacing(storage), lease=None
    )
    before = {entry.key for entry in journal.entries()}
    found = Previewed(stage)
    try:
        with open_engines(small, made.engines(small), budget_of(run), stage, alone=True) as engines:
            for place, plan in enumerate(plans):
                given = rows[place] if rows else None
                made.process(_PreviewWork(small, plan, engines, journal, viewer, found, given))
    finally:
        journal.close()
    bought = [entry for entry in journal.entries() if entry.key not in before]
    return Previewed(stage, found.rows, found.rejects, usage_of(bought), len(bought))


def opening_row(query: str) -> Row:
    name = f"preview-{hashlib.sha256(query.encode('utf-8', 'replace')).hexdigest()[:12]}"
    return {"id": name, "source_ids": [name], "language": None, "query": query}


def _one_a_shard(run: Run, stage: str) -> Run:
    settings = getattr(run.recipe, stage).model_copy(update=ONE_A_SHARD[stage])
    recipe = run.recipe.model_copy(update={stage: settings})
    return Run(run.name, recipe, run.lake, run.work_dir, run.stages)


def _first_shards(plans: Sequence[ShardPlan], number: int) -> list[ShardPlan]:
    """The first so many; of each subject, where there are several."""
    chosen: list[ShardPlan] = []
    taken: dict[object, int] = {}
    for plan in plans:
        subject = plan.params.get("subject")
        if taken.get(subject, 0) < number:
            taken[subject] = taken.get(subject, 0) + 1
            chosen.append(plan)
    return chosen


class _PreviewWork:
    """The ``ShardWork`` of one row of a preview."""

    def __init__(
        self,
        run: Run,
        plan: ShardPlan,
        engines: Engines,
        journal: Journal,
        viewer: Viewer,
        found: Previewed,
        rows: Sequence[Row] | None,
    ) -> None:
        self.run = run
        self.plan = plan
        self._engines = engines
        self._journal = journal
        self._viewer = viewer
        self._found = found
        self._rows = rows

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        given = rows_of(self.run.lake, self.plan.inputs, columns)
        for row in given if self._rows is None else self._rows:
            self._viewer.begins(row)
            yield row

    def expect(self, units: int) -> None:
        pass

    def emit(self, row: Row) -> None:
        self._found.rows.append(row)
        self._viewer.made(row)

    def reject(
        self, id: str, source_ids: Sequence[str], reason: str, original: object, detail: str = ""
    ) -> None:
        reject = {"id": id, "reason": reason, "detail": detail, "original": original}
        self._found.rejects.append(reject)
        self._viewer.refused(reject)

    def engine(self, name: str) -> ChatModel:
        model = self._engines.journaled(name, self._journal, self.plan.index)
        return _WatchedModel(model, self._viewer)

    def progress(self, done: int, total: int | None = None, **figures: float) -> None:
        pass

    def metric(self, name: str, value: object) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    def publish_model(self, folder: Path) -> None:
        raise NotImplementedError("a preview publishes nothing")

    def checkpoints(self) -> Checkpoints:
        raise NotImplementedError("a preview trains nothing")


class _WatchedModel:
    """Shows each completion when it comes."""

    def __init__(self, model: ChatModel, viewer: Viewer) -> None:
        self._model = model
        self._viewer = viewer

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def model(self) -> str:
        return self._model.model

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, sample: str
    ) -> Completion:
        completion = await self._model.complete(messages, sampling, sample=sample)
        self._viewer.said(sample, self.name, completion)
        return completion
