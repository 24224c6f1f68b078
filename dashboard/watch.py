"""The state of runs for any number of viewers: read when somebody looks, once for all of them.

Nothing is polled here. Each page asks while it is open; what was read a moment ago is shown again.
A lake that takes long to read is read less often.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from parrot_core.lake.lake import Lake
from parrot_core.monitor import RunReader, RunState, StageSpec, StageState

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


class Watch:
    """Reads runs. Called from threads; each state is read by one of them at a time."""

    def __init__(
        self,
        lake: Lake,
        stages: Sequence[StageSpec],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is read yet."""
        self._lake = lake
        self.stages = tuple(stages)
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._lock = threading.Lock()

    def names(self) -> Sequence[str]:
        """Names of all runs."""
        return self._lake.storage.folders("runs")

    def runs(self) -> list[RunState]:
        """All runs, newest first; of finished stages the manifests only."""
        states = [self.run(name) for name in self.names()]
        oldest = datetime.min.replace(tzinfo=UTC)
        known = [state for state in states if state.header.created_at or state.updated_at]
        return sorted(known, key=lambda s: (s.header.created_at or oldest, s.name), reverse=True)

    def run(self, name: str) -> RunState:
        """One run; the shards of its finished stages are left out."""
        return self._state(name, "")

    def stage(self, run: str, stage: str) -> StageState | None:
        """One stage with all its shards; None when there is no such stage."""
        if not any(spec.name == stage for spec in self.stages):
            return None
        return self._state(run, stage).stages[0]

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
