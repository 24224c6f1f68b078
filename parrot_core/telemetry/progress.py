"""Progress reporting: what long-running work calls to say how far it has come."""

from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[int], None]
"""Called with how much was done since the last call."""


@dataclass(frozen=True, slots=True)
class ProgressReporter:
    """Where long work says what it does and how far it is."""

    progress: Progress = field(default=lambda _: None)
    step: Callable[[str, int | None], None] = field(default=lambda _, __: None)
    """What comes next, and how much of it there is for ``progress``."""


SILENT = ProgressReporter()
"""For work that nobody watches."""
