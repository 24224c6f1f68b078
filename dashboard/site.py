"""What every page is given: the lake, the state of runs, what was read of the data, what may be
done."""

from dataclasses import dataclass

from dashboard.actions import Actions
from dashboard.forecasts import Forecasts
from dashboard.prefect_link import PrefectLink
from dashboard.version_cache import VersionCache
from dashboard.watch import StateWatcher
from parrot_core.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Site:
    """One dashboard over one lake."""

    lake: Lake
    watch: StateWatcher
    version_cache: VersionCache
    forecasts: Forecasts
    prefect: PrefectLink
    actions: Actions | None  # None: read-only
