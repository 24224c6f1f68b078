"""What a stage has bought, or was about to buy, as batches: durable before and after the order.

A round is three small files under ``runs/<run>/<stage>/batches/<round>/``, each put once:
``intent.json`` (what is ordered, before it is), ``batch.json`` (the provider's id, or that it was
never ordered) and ``closed.json`` (nothing is to be had from it any more). A closed round's intent,
the only file that grows with its requests, is removed.
"""

import uuid
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from parrot_core.lake.holder import this_process
from parrot_core.lake.journal import read_entries
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.storage import Storage, to_json

Orders = Mapping[int, Mapping[str, float]]
"""Shard → key of the journal → the most that this request can cost, in dollars."""


@dataclass(frozen=True, slots=True)
class Intent:
    """One round, as it was known before it was ordered."""

    round: str
    engine: str
    base_url: str
    input_file_id: str
    created_at: str  # ISO 8601, UTC
    orders: Orders

    @property
    def requests(self) -> int:
        return sum(len(keys) for keys in self.orders.values())


class BatchRecords:
    """The rounds of one stage of one run, of all its engines and workers."""

    def __init__(self, storage: Storage, run: str, stage: str) -> None:
        self.run = run
        self.stage = stage
        self._storage = storage
        self._state = StageRecords(storage, run, stage)
        self._folder = f"{self._state.folder}/batches"

    def new_round(self, now: datetime) -> str:
        """A name that no other round has, and that sorts by time."""
        return f"{now:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:12]}"

    def rounds(self, known: Container[str] = ()) -> list[str]:
        """Rounds that are not closed nor known already, oldest first, from one listing."""
        names = [path.rsplit("/", 2)[-2:] for path in self._storage.list(self._folder)]
        closed = {name for name, file in names if file == "closed.json"}
        intended = sorted(name for name, file in names if file == "intent.json")
        return [name for name in intended if name not in closed and name not in known]

    def intents(self, rounds: Sequence[str]) -> list[Intent]:
        """What these rounds are to buy; those that were closed meanwhile are left out."""
        found = [self.intent(name) for name in rounds]
        return [intent for intent in found if intent is not None]

    def open_of(self, engine: str) -> list[str]:
        """Rounds of one engine that may still have answers that nobody has taken."""
        intents = [i for i in self.intents(self.rounds()) if i.engine == engine]
        return [intent.round for intent in intents if not self.finished(intent)]

    def intend(self, intent: Intent) -> None:
        """Keep a round, before it is ordered."""
        record = {
            "round": intent.round,
            "engine": intent.engine,
            "base_url": intent.base_url,
            "input_file_id": intent.input_file_id,
            "created_at": intent.created_at,
            "orders": {str(shard): dict(keys) for shard, keys in intent.orders.items()},
        }
        self._storage.put_if_absent(self._path(intent.round, "intent"), to_json(record))

    def intent(self, round: str) -> Intent | None:
        """A round as it was intended; None when it was closed meanwhile."""
        record = self._read(round, "intent")
        if record is None:
            return None
        orders = {int(shard): keys for shard, keys in record["orders"].items()}
        return Intent(**{**record, "orders": orders})

    def decide(self, round: str, batch_id: str | None) -> str | None:
        """Keep the provider's id of a round, or None: it was not ordered and won't be.

        The first to decide wins, so that a round that was given up by one worker can't be
        followed by another that was slow to order it. Returns what stands.
        """
        data = to_json({"batch_id": batch_id})
        if self._storage.put_if_absent(self._path(round, "batch"), data):
            return batch_id
        return self.batch_id(round)[0]

    def batch_id(self, round: str) -> tuple[str | None, bool]:
        """The provider's id of a round, if it has one, and whether that is decided."""
        record = self._read(round, "batch")
        return (record["batch_id"], True) if record is not None else (None, False)

    def close(self, round: str, summary: Mapping[str, Any]) -> None:
        """Note that nothing is to be had from a round any more; its list of requests goes."""
        self._storage.put_if_absent(self._path(round, "closed"), to_json(dict(summary)))
        self._storage.delete([self._path(round, "intent")])

    def outstanding(self, intents: Sequence[Intent]) -> list[dict[str, float]]:
        """For each round, the requests at their worst whose answers nobody has taken, nor will.

        An answer is taken when it is in a journal or a finished shard. A shard that a live worker
        elsewhere has in hand is that worker's concern, until it is taken over.
        """
        shards = {shard for intent in intents for shard in intent.orders}
        taken = {shard: self._taken(shard) for shard in sorted(shards)}
        return [
            {
                key: usd
                for shard, keys in intent.orders.items()
                if (done := taken[shard]) is not None
                for key, usd in keys.items()
                if key not in done
            }
            for intent in intents
        ]

    def finished(self, intent: Intent) -> bool:
        """Whether all answers of a round are in journals or finished shards."""
        for shard, keys in intent.orders.items():
            if self._committed(shard):
                continue
            if not keys.keys() <= self._journaled(shard):
                return False
        return True

    def _taken(self, shard: int) -> frozenset[str] | None:
        """Keys in a shard's journal; None for a shard that needs nothing from here."""
        if self._committed(shard):
            return None
        top = self._state.shard(shard).claims.top()
        if top is not None and not top.over and not top.holder.same_process(this_process()):
            return None
        return self._journaled(shard)

    def _committed(self, shard: int) -> bool:
        if self._state.shard(shard).receipt() is not None:
            return True
        top = self._state.shard(shard).claims.top()
        return top is not None and top.state == "committed"

    def _journaled(self, shard: int) -> frozenset[str]:
        folder = self._state.shard(shard).journal_folder
        return frozenset(entry.key for entry in read_entries(self._storage, folder))

    def _path(self, round: str, what: str) -> str:
        return f"{self._folder}/{round}/{what}.json"

    def _read(self, round: str, what: str) -> dict[str, Any] | None:
        try:
            return self._storage.read_json(self._path(round, what))
        except FileNotFoundError:
            return None
