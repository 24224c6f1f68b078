"""Which sessions train, which seed new dialogues, and which no training ever sees."""

import hashlib
from typing import Literal

Split = Literal["heldout", "seed", "train"]


def unit_hash(seed: int, key: str) -> float:
    """A number in [0, 1) that depends on the run's seed and the key alone (SHA-256)."""
    digest = hashlib.sha256(f"{seed}\0{key}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split_of(
    seed: int, base_session_id: str, heldout_fraction: float, seed_fraction: float
) -> Split:
    """The split of a session.

    Args:
        base_session_id: the id that all parts of a session share, so that no part of a held-out
            session is ever trained on.
        heldout_fraction: share of sessions for measuring only.
        seed_fraction: share of sessions whose opening query seeds a dialogue.
    """
    place = unit_hash(seed, base_session_id)
    if place < heldout_fraction:
        return "heldout"
    return "seed" if place < heldout_fraction + seed_fraction else "train"
