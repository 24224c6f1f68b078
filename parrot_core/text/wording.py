"""Figures in a reader's words: counts, durations, dollars; one way for page and terminal."""

import difflib
import math
from collections.abc import Iterable, Sequence


def count(value: float | None) -> str:
    """``12,345``; a dash for the unknown."""
    return "-" if value is None else f"{value:,.0f}"


def short_count(value: float | None) -> str:
    """``12.3k``, ``4.5M``: for where there is little room."""
    if value is None:
        return "-"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.1f}{letter}"
    return f"{value:,.0f}"


def plural(value: int, unit: str) -> str:
    """``1 session``, ``2 sessions``, ``3 queries``."""
    if value == 1:
        return f"1 {unit}"
    ending = unit[:-1] + "ies" if unit.endswith("y") else unit + "s"
    return f"{value:,} {ending}"


def duration(seconds: float | None) -> str:
    """``0.4 s``, ``42 s``, ``3 min 05 s``, ``2 h 14 min``, ``3 d 4 h``."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def dollars(value: float) -> str:
    """``$0`` when nothing was paid, cents below ten dollars to four places."""
    if value == 0:
        return "$0"
    return f"${value:,.4f}" if value < 10 else f"${value:,.2f}"


def spent(usd: float, unpriced: Sequence[str]) -> str:
    """Dollars, and whose price isn't known: what nobody knows is never $0."""
    if not unpriced:
        return dollars(usd)
    unknown = f"price of {', '.join(unpriced)} unknown"
    return f"{dollars(usd)}, {unknown}" if usd else unknown


def money(value: float) -> str:
    """``$9.64``: an estimate, to the cent."""
    return f"${value:,.2f}"


def figure(value: float | None) -> str:
    """A loss, a margin, a score: three decimals, fewer when large."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"


def bounds(low: float | None, high: float | None, sign: str = "") -> str:
    """``0.45 to 0.62``, an interval; with the sign ``+`` as ``-0.12 to +0.30``."""
    return "-" if low is None or high is None else f"{low:{sign}.2f} to {high:{sign}.2f}"


def with_bounds(
    value: float | None, low: float | None, high: float | None, digits: int = 2, scale: float = 1
) -> str:
    """``0.53 [0.45, 0.62]``: a figure with its interval, where it has one."""
    if value is None:
        return "–"
    shown = f"{value * scale:.{digits}f}"
    if low is None or high is None:
        return shown
    return f"{shown} [{low * scale:.{digits}f}, {high * scale:.{digits}f}]"


def rate(per_second: float | None, unit: str) -> str:
    """``3.2 sessions/s``, ``14 sessions/min``: whichever reads as a number above one."""
    if not per_second:
        return ""
    for factor, span in ((1, "s"), (60, "min"), (3600, "h")):
        value = per_second * factor
        if value >= 1 or span == "h":
            return f"{value:.1f}/{span}" if not unit else f"{value:.1f} {unit}s/{span}"
    return ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'synthesize'?`` where one of the known words is like it; else nothing."""
    like = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{like[0]}'?" if like else ""
