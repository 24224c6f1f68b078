"""Watching a stage: what can't be read or shown for a while doesn't end the shards in work."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from flows import stages
from parrot_core.errors import StorageError
from parrot_core.execution.runs import begin_run
from parrot_core.stages.registry import stage_named
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.run_log import RunLog


def watch(folder: Path, monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    """Look so many times at a stage in work."""
    monkeypatch.setattr(stages, "ARTIFACT_EVERY_S", 0.0)
    run = begin_run(minimal_recipe(str(folder / "lake")))
    look = stages._Watch(run, stage_named("seeds"))
    for _ in range(looks):
        look()


def test_a_lake_that_cannot_be_read_for_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_log: RunLog
) -> None:
    class Away:
        def __init__(self, *_: object) -> None:
            return

        def read(self, now: datetime) -> Sequence[Any]:
            raise StorageError("s3: slow down")

    monkeypatch.setattr(stages, "RunReader", Away)
    watch(tmp_path, monkeypatch, looks=2)
    assert run_log.warnings == ["seeds: progress can't be read now: s3: slow down"] * 2


def test_a_server_that_is_away_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_log: RunLog
) -> None:
    made = uuid4()
    answers: list[Exception | UUID] = [httpx.ConnectError("refused"), made]
    updated: list[UUID] = []

    def create(percent: float, key: str) -> UUID:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(stages, "create_progress_artifact", create)
    monkeypatch.setattr(
        stages, "update_progress_artifact", lambda artifact, percent: updated.append(artifact)
    )
    watch(tmp_path, monkeypatch, looks=4)
    assert run_log.warnings == ["left out: ConnectError: refused"]
    assert updated == [made, made]
