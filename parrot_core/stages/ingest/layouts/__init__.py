"""The layouts that source records come in, one small file each.

A new one is a file here that makes a :class:`Layout` called ``LAYOUT``, and its test. It is found
by its being here; recipes, error messages and the docs take its name from here.
"""

import pkgutil
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from parrot_core.stages.ingest.layouts.layout import (
    USUAL,
    Layout,
    Misfit,
    Reading,
    SessionId,
    describe,
    parse_id,
    shape,
)

__all__ = [
    "LAYOUTS",
    "USUAL",
    "Layout",
    "Misfit",
    "Reading",
    "SessionId",
    "describe",
    "is_known",
    "most_likely",
    "nearest",
    "parse_id",
    "shape",
]

_NAME = re.compile(r'"(\w+)"')


def _found() -> dict[str, Layout]:
    """The layouts of all files here, the most particular first."""
    names = [found.name for found in pkgutil.iter_modules(__path__)]
    modules = [import_module(f"{__name__}.{name}") for name in names]
    layouts = [module.LAYOUT for module in modules if hasattr(module, "LAYOUT")]
    return {layout.name: layout for layout in sorted(layouts, key=lambda one: -one.rank)}


LAYOUTS: Mapping[str, Layout] = MappingProxyType(_found())


def is_known(record: object) -> bool:
    """Whether a record is in one of the layouts, as far as its shape goes."""
    return any(layout.looks_like(record) for layout in LAYOUTS.values())


def most_likely(records: Sequence[object]) -> Layout | None:
    """The layout of most of the records; None when they are in no known one."""
    votes = {name: sum(map(layout.looks_like, records)) for name, layout in LAYOUTS.items()}
    winner = max(votes, key=lambda name: votes[name])
    return LAYOUTS[winner] if votes[winner] else None


def nearest(record: object) -> Layout:
    """The layout that shares most names with a record, for the error that it is in none."""
    names = set(_NAME.findall(shape(record)))
    return max(
        LAYOUTS.values(), key=lambda layout: len(names & set(_NAME.findall(layout.expected)))
    )
