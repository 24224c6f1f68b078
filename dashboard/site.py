"""What every page is given: the lake, the state of runs, what was read of the data, what may be
done."""

from dataclasses import dataclass

from dashboard.actions import Actions
from dashboard.shelf import Shelf
from dashboard.watch import Watch
from parrot_core.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Site:
    """One dashboard over one lake."""

    lake: Lake
    watch: Watch
    shelf: Shelf
    actions: Actions | None  # None: read-only
