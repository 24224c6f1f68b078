"""Forecasts of a run's remaining stages, worked out again from time to time."""

import threading
import time
from collections.abc import Callable, Mapping

from parrot_core.analysis.forecast.requests import forecast
from parrot_core.errors import ParrotError
from parrot_core.execution.runs import open_run
from parrot_core.lake.lake import Lake
from parrot_core.monitor.outlook import Projection
from parrot_core.stages.forecasting import Basis

VALID_S = 300.0
MOST = 32


class Forecasts:
    """Forecasts of a lake's runs. Called from threads; one that can't be made is empty."""

    def __init__(self, lake: Lake, clock: Callable[[], float] = time.monotonic) -> None:
        self._lake = lake
        self._clock = clock
        self._kept: dict[str, tuple[float, Mapping[str, Projection]]] = {}
        self._lock = threading.Lock()

    def of(self, run: str) -> Mapping[str, Projection]:
        with self._lock:
            until, found = self._kept.get(run, (0.0, {}))
            if self._clock() < until:
                return found
            found = self._work_out(run)
            if len(self._kept) >= MOST:
                self._kept.clear()
            self._kept[run] = (self._clock() + VALID_S, found)
            return found

    def _work_out(self, run: str) -> Mapping[str, Projection]:
        try:
            made = forecast(open_run(self._lake, run), Basis())
        except (ParrotError, OSError):
            return {}
        trainings = {each.stage: each.hours for each in made.trainings}
        found = {}
        for stage in made.stages:
            prices = [load.usd for load in stage.loads]
            usd = None if None in prices else sum(price or 0.0 for price in prices)
            hours = trainings.get(stage.stage, stage.hours)
            found[stage.stage] = Projection(usd, None if hours is None else hours * 3600)
        return found
