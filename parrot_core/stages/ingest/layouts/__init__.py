"""The layouts that source records come in, one small file each.

A new one is a file that makes a :class:`Layout`, its line below, and its name in the recipe's
``LayoutName``.
"""

from parrot_core.recipe import LayoutName
from parrot_core.stages.ingest.layouts.baize import BAIZE
from parrot_core.stages.ingest.layouts.layout import Layout, Misfit, SessionId, describe, parse_id
from parrot_core.stages.ingest.layouts.openai_messages import OPENAI_MESSAGES
from parrot_core.stages.ingest.layouts.sharegpt import SHAREGPT
from parrot_core.stages.ingest.layouts.ultrachat import ULTRACHAT
from parrot_core.stages.ingest.layouts.wildchat_lmsys import WILDCHAT_LMSYS

LAYOUTS: dict[LayoutName, Layout] = {
    "sharegpt": SHAREGPT,
    "ultrachat": ULTRACHAT,  # before openai_messages, whose field UltraChat 200K has too
    "openai_messages": OPENAI_MESSAGES,
    "wildchat_lmsys": WILDCHAT_LMSYS,
    "baize": BAIZE,
}

__all__ = [
    "LAYOUTS",
    "SHAREGPT",
    "Layout",
    "Misfit",
    "SessionId",
    "describe",
    "is_known",
    "most_likely",
    "parse_id",
]


def is_known(record: object) -> bool:
    """Whether a record is in one of the layouts, as far as its shape goes."""
    return any(layout.looks_like(record) for layout in LAYOUTS.values())


def most_likely(records: list[object]) -> Layout | None:
    """The layout of most of the records; None when they are in no known one."""
    votes = {layout: sum(map(layout.looks_like, records)) for layout in LAYOUTS.values()}
    winner = max(votes, key=lambda layout: votes[layout])
    return winner if votes[winner] else None
