"""``parrot verify`` and ``parrot gc`` in the terminal: check versions, remove unneeded files."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from parrot_cli.progress_bar import bar
from parrot_core.errors import UserError
from parrot_core.lake import gc
from parrot_core.lake.lake import Lake
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.verify import Problem, verify_version
from parrot_core.text.sanitise import one_line

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LISTED = 40
"""Most files that are listed one by one; ``--json`` has all."""


def grace_in(text: str) -> timedelta:
    """A time such as ``90m``, ``1h``, ``2d`` or ``0``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])|0", text.strip())
    if found is None:
        raise UserError(f"--grace: expected a time such as 30m, 1h, 2d or 0, found '{text}'")
    return timedelta(**{_UNITS[found[2]]: float(found[1])}) if found[2] else timedelta(0)


def verify(lake: Lake, manifests: Sequence[Manifest], console: Console) -> list[Problem]:
    """Verify versions, with a progress bar over the bytes of each on ``console``."""
    problems: list[Problem] = []
    with bar(console) as reporter:
        for manifest in manifests:
            size = sum(entry.bytes for entry in (*manifest.files, *manifest.reject_files))
            reporter.step(f"{manifest.name}@{manifest.version}", size)
            problems += verify_version(lake, manifest, reporter.progress)
    return problems


def verified_json(manifests: Sequence[Manifest], problems: Sequence[Problem]) -> dict[str, Any]:
    return {
        "versions": [
            {
                "name": m.name,
                "version": m.version,
                "kind": m.kind,
                "files": len(m.files) + len(m.reject_files),
                "problems": sum(p.version == f"{m.name}@{m.version}" for p in problems),
            }
            for m in manifests
        ],
        "problems": [asdict(problem) for problem in problems],
    }


def show_garbage(console: Console, lake: Lake, found: gc.Collection) -> None:
    """Say what would be removed: totals by reason, then the files."""
    for name in found.live_runs:
        told = f"run {one_line(name, 80)}: live or too young, left alone"
        console.print(told, markup=False, soft_wrap=True)
    if not found.garbage:
        console.print(f"{lake.url}: nothing to remove", markup=False, soft_wrap=True)
        return
    totals = Table("why", "files", "size")
    for why in dict.fromkeys(item.why for item in found.garbage):
        of = [item for item in found.garbage if item.why == why]
        totals.add_row(why, f"{len(of):,}", size(sum(item.bytes for item in of)))
    console.print(totals)
    for item in found.garbage[:LISTED]:
        line = f"{size(item.bytes):>10}  {one_line(lake.storage.show(item.path), 300)}"
        console.print(line, markup=False, soft_wrap=True)
    if len(found.garbage) > LISTED:
        console.print(f"… and {len(found.garbage) - LISTED:,} more")


def remove(lake: Lake, found: gc.Collection, console: Console) -> None:
    """Remove garbage, with a progress bar on ``console``."""
    with bar(console) as reporter:
        reporter.step("removing", found.bytes)
        gc.remove(lake, found, reporter.progress)


def garbage_json(lake: Lake, found: gc.Collection, removed: bool) -> dict[str, Any]:
    return {
        "removed": removed,
        "bytes": found.bytes,
        "live_runs": list(found.live_runs),
        "garbage": [
            {"path": lake.storage.show(item.path), "bytes": item.bytes, "why": item.why}
            for item in found.garbage
        ],
    }


def size(count: int) -> str:
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= one:
            return f"{count / one:,.1f} {unit}"
    return f"{count} B"
