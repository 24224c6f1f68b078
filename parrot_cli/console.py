"""Where the commands write: as wide as the terminal, and a pipe cuts and wraps nothing."""

import os

from rich.console import Console, ConsoleDimensions

IN_A_PIPE = 10_000
"""Columns where there is no terminal and ``COLUMNS`` says nothing: each line stays whole."""


class WideConsole(Console):
    """A console that takes no width of a terminal for granted that isn't there."""

    @property
    def size(self) -> ConsoleDimensions:
        """The terminal's size, or ``COLUMNS``, or as wide as any line."""
        if self._width is None and not self.is_terminal and not os.environ.get("COLUMNS"):
            return ConsoleDimensions(IN_A_PIPE, 25)
        return Console.size.fget(self)  # type: ignore[attr-defined,no-any-return]

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        Console.size.fset(self, new_size)  # type: ignore[attr-defined]


out = WideConsole()
err = WideConsole(stderr=True, highlight=False)


def progress_console(quiet: bool) -> Console:
    """Where progress is shown; nowhere when quiet."""
    return WideConsole(stderr=True, quiet=quiet)
