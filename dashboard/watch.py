"""The state of runs for any number of viewers: read when somebody looks, once for all of them.

Nothing is polled here. Each page asks while it is open; what was read a moment ago is shown again.
A lake that takes long to read is read less often.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from parrot_core.lake.lake import Lake
from parrot_core.monitor import RunHeader, RunReader, RunState, StageSpec, StageState
from parrot_core.monitor.reader import newest_first, read_headers

FRESH_S = 0.9
COSTS = 4.0
"""A state stays fresh for so many times the time that reading it took: a quarter of a core."""

MOST_READERS = 64


class _Kept:
    """One reader and what it read last."""

    def __init__(self, reader: RunReader) -> None:
        self.reader = reader
        self.lock = threading.Lock()
        self.state: RunState | None = None
        self.fresh_until = 0.0
        self.used = 0.0


class StateWatcher:
    """Reads runs. Called from threads; each state is read by one of them at a time."""

    def __init__(
        self,
        lake: Lake,
        stages: Sequence[StageSpec],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake = lake
        self.stages = tuple(stages)
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._headers: dict[str, RunHeader] = {}
        self._lock = threading.Lock()

    def names(self) -> Sequence[str]:
        return self._lake.storage.folders("runs")

    def runs(self) -> list[RunState]:
        """All runs, newest first; of finished stages the manifests only."""
        states = [self.run(header.name) for header in self.headers() if not header.damage]
        return [state for state in states if state.header.created_at or state.updated_at]

    def headers(self) -> Sequence[RunHeader]:
        """What all runs say of themselves, newest first; one small file a run, read once."""
        names = self.names()
        new = [name for name in names if name not in self._headers]
        found = read_headers(self._lake.storage, new)
        self._headers |= {header.name: header for header in found if not header.damage}
        damaged = [header for header in found if header.damage]
        known = [self._headers[name] for name in names if name in self._headers]
        return newest_first([*known, *damaged])

    def run(self, name: str) -> RunState:
        """One run; the shards of its finished stages are left out."""
        return self._state(name, "")

    def stage(self, run: str, stage: str) -> StageState | None:
        """One stage with all its shards; None when there is no such stage."""
        if not any(spec.name == stage for spec in self.stages):
            return None
        found = self.run(run).stage(stage)
        if found is None or not found.published:
            return found  # a run's state leaves out the shards of published stages alone
        return self._state(run, stage).stages[0]

    def seen(self, run: str) -> RunState | None:
        """A run as it was read last, at no cost: to show at once, before the next reading."""
        kept = self._kept.get((run, ""))
        return kept.state if kept is not None else None

    def forget(self, run: str) -> None:
        """Read a run anew at the next look: something was just done to it."""
        with self._lock:
            for (name, _), kept in self._kept.items():
                if name == run:
                    kept.fresh_until = 0.0

    def _state(self, run: str, stage: str) -> RunState:
        kept = self._reader(run, stage)
        with kept.lock:
            if kept.state is not None and self._clock() < kept.fresh_until:
                return kept.state
            began = self._clock()
            kept.state = kept.reader.read(datetime.now(UTC))
            now = self._clock()
            kept.fresh_until = now + max(FRESH_S, COSTS * (now - began))
            return kept.state

    def _reader(self, run: str, stage: str) -> _Kept:
        specs = [spec for spec in self.stages if stage in ("", spec.name)]
        with self._lock:
            kept = self._kept.get((run, stage))
            if kept is None:
                if len(self._kept) >= MOST_READERS:
                    del self._kept[min(self._kept, key=lambda key: self._kept[key].used)]
                kept = _Kept(RunReader(self._lake, run, specs, all_shards=stage != ""))
                self._kept[run, stage] = kept
            kept.used = self._clock()
            return kept
