"""Leases with fencing: one worker a shard, and one that was superseded can change nothing.

The claims on a shard are numbered files, each put-if-absent. Claim ``n`` is a worker's lease of
epoch ``n``. Claim ``n + 1`` is either its receipt, or the lease of whoever took the shard over.
Both compete for one name, so storage itself decides, atomically, which of the two happened.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from parrot_core.errors import LeaseLost, ShardHeld, StorageError
from parrot_core.lake.holder import Holder
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.records import Record, as_record, read_record
from parrot_core.lake.storage import Storage

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """How long a silent worker keeps its shard.

    No clocks are compared: an observer measures, by its own clock, for how long a lease has not
    been renewed before its eyes.
    """

    expiry_s: float = 60.0
    renew_s: float = 15.0
    poll_s: float = 1.0  # how often an observer looks

    def __post_init__(self) -> None:
        if not 0 < self.renew_s * 2 <= self.expiry_s:
            raise ValueError(f"a lease must be renewed at least twice before it expires: {self}")


DEFAULT_TIMES = LeaseTimes()


class Claim(Record):
    """One numbered claim on a shard."""

    number: int
    state: Literal["held", "released", "committed"]
    attempt: str
    holder: Holder
    expiry_s: float  # the holder's promise, so that all observers apply the same
    renewals: int = 0
    receipt: Receipt | None = None  # of a committed shard

    @property
    def over(self) -> bool:
        """Whether this attempt can certainly not be committed any more."""
        return self.state == "released" or (self.state == "held" and self.holder.is_gone())


class Claims:
    """The claims on one shard."""

    def __init__(self, storage: Storage, folder: str, place: str) -> None:
        """``place`` is what messages call the shard, such as ``run 'r', synthesize shard 3``."""
        self._storage = storage
        self._folder = folder
        self.place = place

    def top(self) -> Claim | None:
        """The claim that counts: the one with the highest number."""
        paths = self._storage.list(self._folder)
        return self.since(read_claim(self._storage, paths[-1])) if paths else None

    def since(self, known: Claim) -> Claim:
        """The claim that counts now, given one that did a moment ago: no listing is needed."""
        claim = self.read(known.number) or known
        while (higher := self.read(claim.number + 1)) is not None:
            claim = higher
        return claim

    def read(self, number: int) -> Claim | None:
        """One claim, or None when nobody has made it."""
        return read_record(self._storage, self._path(number), Claim)

    def put(self, claim: Claim) -> bool:
        """Make a claim; False when somebody else has made the one of this number."""
        return self._storage.put_if_absent(self._path(claim.number), claim.to_bytes())

    def replace(self, claim: Claim) -> None:
        """Renew or release a lease: only its own holder may."""
        self._storage.write_bytes(self._path(claim.number), claim.to_bytes())

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:06d}.json"


def read_claim(storage: Storage, path: str) -> Claim:
    """A claim, given its file."""
    return as_record(Claim, storage.read_json(path), storage.show(path))


class Lease:
    """One attempt's hold on one shard. Thread-safe: it only reads and replaces its own file."""

    def __init__(self, claims: Claims, claim: Claim, renew_s: float) -> None:
        self._claims = claims
        self._claim = claim
        self.renew_s = renew_s
        self._committed = False
        self.lost = False

    @property
    def epoch(self) -> int:
        """Number of the lease; only rises from attempt to attempt."""
        return self._claim.number

    @property
    def attempt(self) -> str:
        return self._claim.attempt

    @property
    def worker(self) -> str:
        return self._claim.holder.worker

    def check(self) -> None:
        """Ask storage whether the shard is still ours; to be asked right before each write.

        Raises:
            LeaseLost: another worker has taken the shard over.
        """
        if not self.lost and self._claims.read(self.epoch + 1) is not None:
            self.lost = True
        self.still_ours()

    def still_ours(self) -> None:
        """Raise LeaseLost if it is known already that the shard is not ours; costs nothing."""
        if self.lost:
            raise LeaseLost(self._claims.place, self.epoch)

    def renew(self) -> None:
        """Show that this worker lives; LeaseLost if that comes too late."""
        self.check()
        self._claim = self._claim.model_copy(update={"renewals": self._claim.renewals + 1})
        self._claims.replace(self._claim)

    def release(self) -> None:
        """Let the next attempt begin at once, unless the lease was lost or ended in a commit.

        A release that can't be written is only a wait for the next attempt: the lease expires.
        """
        if self._committed:
            return
        try:
            self.check()
            self._claims.replace(self._claim.model_copy(update={"state": "released"}))
        except LeaseLost:
            return
        except StorageError as error:
            logger.warning("the lease will expire, for it could not be released: %s", error)

    def commit(self, receipt: Receipt) -> None:
        """Finish the shard: from here on its receipt stands, whatever happens to this process.

        Raises:
            LeaseLost: another worker took the shard over first; this attempt's work is void.
        """
        update = {"number": self.epoch + 1, "state": "committed", "receipt": receipt}
        if not self._claims.put(self._claim.model_copy(update=update)):
            self.lost = True
            self.still_ours()
        self._committed = True


@dataclass(frozen=True, slots=True)
class Watched:
    """A claim, and since when (by our own clock) it has not changed before our eyes."""

    claim: Claim
    since: float

    def expired(self, now: float) -> bool:
        """Whether its holder has been silent for its whole expiry time."""
        return now - self.since >= self.claim.expiry_s


def take(
    claims: Claims,
    attempt: str,
    holder: Holder,
    times: LeaseTimes,
    seen: Watched | None = None,
    *,
    wait: bool = True,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Lease | Receipt:
    """Take the lease of the next epoch, or learn that the shard is committed.

    A lease that was released, or whose process has certainly ended, is taken over at once. Any
    other is watched: it is taken over when it was not renewed for its whole expiry time. ``seen``
    is what a caller has watched of it already; without ``wait`` nothing more is watched.

    Raises:
        ShardHeld: the holder renewed its lease while we looked, or another was faster than we.
    """
    watched, since = (seen.claim, seen.since) if seen is not None else (None, 0.0)
    while True:
        silent_s = clock() - since  # before we look: a pause of our own must not count as theirs
        top = claims.top() if watched is None else claims.since(watched)
        if top is not None and top.receipt is not None:
            return top.receipt
        expired = top is not None and top == watched and silent_s >= top.expiry_s
        if top is None or top.over or expired:
            claim = Claim(
                number=top.number + 1 if top else 1,
                state="held",
                attempt=attempt,
                holder=holder,
                expiry_s=times.expiry_s,
            )
            if claims.put(claim):
                return Lease(claims, claim, times.renew_s)
            watched = None  # a commit, or another who was faster: look again
            continue
        if watched is None and wait:
            watched, since = top, clock()
        elif top != watched or not wait:
            raise ShardHeld(claims.place, top.holder.worker)
        sleep(times.poll_s)
