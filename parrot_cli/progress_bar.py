"""A bar in the terminal for work of several steps."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from parrot_core.telemetry.progress import ProgressReporter
from parrot_core.text.sanitise import one_line


@contextmanager
def bar(console: Console) -> Iterator[ProgressReporter]:
    """Show each step with its own bar, the time taken and the time left; nothing is left behind."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("", total=None)

        def begin(what: str, total: int | None) -> None:
            shown.reset(task, description=one_line(what, 70), total=total)

        yield ProgressReporter(progress=lambda amount: shown.advance(task, amount), step=begin)
