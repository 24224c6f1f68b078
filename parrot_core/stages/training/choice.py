"""Choose a training's examples from a stage's rows: by hash of id and seed, every row counted."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

Part = Literal["train", "heldout"]
PARTS: tuple[Part, ...] = ("train", "heldout")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that may be trained on, or the reason why not."""

    id: str
    group: str = ""  # rows of a group are held out together
    part: Part | None = None  # fixed by the data; None leaves it to the hash
    example: Mapping[str, Any] | None = None  # what is written for the trainer
    left_out: str = ""  # why there is no example


@dataclass(frozen=True, slots=True)
class ChoiceLimits:
    """How many examples each part may have."""

    max_train: int | None
    max_heldout: int
    heldout_fraction: float = 0.0  # of groups, where the data does not fix the part


@dataclass(slots=True)
class Choice:
    """What was written, and what became of every row."""

    rows: int = 0
    written: dict[Part, int] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    sha256: str = ""


@dataclass(slots=True)
class _ChosenExample:
    id: str
    rank: str
    group: str
    part: Part | None
    start: int = 0
    length: int = 0


def choose(
    rows: Iterable[Candidate], files: Mapping[Part, Path], limits: ChoiceLimits, seed: int
) -> Choice:
    """Write the chosen examples as JSON lines, in the order of the rows.

    Only a few dozen bytes a row are held in memory.

    Args:
        limits: how many each part may have; the lowest hashes of id and seed stay.
    """
    choice = Choice()
    spool = files["train"].with_suffix(".spool")
    with spool.open("w+b") as file:
        kept = _spool(rows, file, choice, seed)
        _hold_out(kept, limits.heldout_fraction, seed)
        digest = hashlib.sha256()
        for part, most in (("train", limits.max_train), ("heldout", limits.max_heldout)):
            assert part in PARTS
            members = [row for row in kept if row.part == part]
            stay = sorted(_lowest(members, most), key=lambda row: row.start)
            with files[part].open("wb") as target:
                for row in stay:
                    file.seek(row.start)
                    line = file.read(row.length)
                    target.write(line)
                    digest.update(line)
            digest.update(b"\0")
            choice.written[part] = len(stay)
            if len(members) > len(stay):
                choice.left_out[f"over_limit_{part}"] += len(members) - len(stay)
    spool.unlink()
    choice.sha256 = digest.hexdigest()
    return choice


def parts_of(rows: Iterable[Candidate], limits: ChoiceLimits, seed: int) -> dict[str, Part]:
    """The part of each row that :func:`choose` would write, without writing any.

    What a training learned from can so be told from its data, recipe and seed alone.
    """
    kept = [_kept(row, seed) for row in rows if row.example is not None]
    _hold_out(kept, limits.heldout_fraction, seed)
    chosen: dict[str, Part] = {}
    for part, most in zip(PARTS, (limits.max_train, limits.max_heldout), strict=True):
        members = [row for row in kept if row.part == part]
        chosen |= {row.id: part for row in _lowest(members, most)}
    return chosen


def _lowest(members: list[_ChosenExample], most: int | None) -> list[_ChosenExample]:
    return sorted(members, key=lambda row: row.rank)[:most]


def _kept(row: Candidate, seed: int) -> _ChosenExample:
    return _ChosenExample(row.id, rank(row.id, seed), row.group or row.id, row.part)


def _spool(
    rows: Iterable[Candidate], file: BinaryIO, choice: Choice, seed: int
) -> list[_ChosenExample]:
    kept: list[_ChosenExample] = []
    start = 0
    for row in rows:
        choice.rows += 1
        if row.example is None:
            choice.left_out[row.left_out] += 1
            continue
        line = json.dumps(row.example, ensure_ascii=False).encode() + b"\n"
        file.write(line)
        kept.append(_kept(row, seed))
        kept[-1].start, kept[-1].length = start, len(line)
        start += len(line)
    return kept


def _hold_out(kept: list[_ChosenExample], fraction: float, seed: int) -> None:
    """Fix the part of the rows that have none: whole groups, the share as exact as they allow."""
    groups = sorted({row.group for row in kept if row.part is None}, key=_by_rank(seed, "group"))
    number = round(len(groups) * fraction)
    if fraction > 0 and len(groups) > 1:
        number = max(number, 1)
    held = set(groups[:number])
    for row in kept:
        if row.part is None:
            row.part = "heldout" if row.group in held else "train"


def _by_rank(seed: int, salt: str) -> Callable[[str], str]:
    return lambda id: rank(f"{salt}:{id}", seed)


def rank(id: str, seed: int) -> str:
    """A fixed random order of ids: SHA-256 of seed and id."""
    return hashlib.sha256(f"{seed}:{id}".encode()).hexdigest()
