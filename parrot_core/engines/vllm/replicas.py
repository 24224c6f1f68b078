"""Which replica of an engine serves a session, and which GPUs or cores a replica gets.

A session stays with the replica that holds its prefix in its cache: rendezvous hashing (Thaler
and Ravishankar 1998) of the row's id, so that no table is kept, all workers choose alike, and of
a dead replica only its own sessions move.
"""

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Generic, TypeVar

from parrot_core.engines.types import RunError

C = TypeVar("C")

AWAY_S = 30.0
"""A replica that could not be reached is left alone for so long."""

_TURN = re.compile(r"/t\d+(?:/|$)")
_PARALLEL = re.compile(r"^(?:--(?:tensor|pipeline)-parallel-size|-tp|-pp)$")


def session_of(sample: str) -> str:
    """The row that a completion is for: ``s1`` of ``s1/t3/answer``."""
    found = _TURN.search(sample)
    return sample[: found.start()] if found else sample.partition("/")[0]


class Replicas(Generic[C]):
    """The clients of one engine's replicas, by address."""

    def __init__(
        self, clients: Sequence[tuple[str, C]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``clients`` are pairs of address and client, at least one."""
        self._clients = tuple(clients)
        self._clock = clock
        self._away_until: dict[str, float] = {}

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(address for address, _ in self._clients)

    def pick(self, session: str) -> tuple[str, C]:
        """Address and client of the replica that holds the session's prefix, or takes it over."""
        if len(self._clients) == 1:
            return self._clients[0]
        ranked = sorted(self._clients, key=lambda pair: _weight(pair[0], session))
        now = self._clock()
        here = [pair for pair in ranked if self._away_until.get(pair[0], now) <= now]
        return (here or ranked)[0]

    def unreachable(self, address: str) -> bool:
        """Move a replica's sessions on for a while; whether there is another one to go to."""
        now = self._clock()
        self._away_until[address] = now + AWAY_S
        return any(self._away_until.get(each, now) <= now for each in self.addresses)


def _weight(address: str, session: str) -> bytes:
    return hashlib.sha256(f"{address}\n{session}".encode("utf-8", "surrogatepass")).digest()


def gpus_per_replica(args: Sequence[str]) -> int:
    """GPUs that ``vllm serve`` takes with these arguments: tensor times pipeline parallel size."""
    words = [word for arg in args for word in arg.split("=", 1)]
    product = 1
    for name, value in pairwise(words):
        if _PARALLEL.match(name) and value.isdigit():
            product *= int(value)
    return product


def share_gpus(model: str, devices: Sequence[str], replicas: int, each: int) -> list[str]:
    """``CUDA_VISIBLE_DEVICES`` of each replica: consecutive devices, none shared.

    Raises:
        RunError: there are too few devices.
    """
    if replicas * each > len(devices):
        raise RunError(
            f"'{model}' wants {replicas} replicas of {each} GPUs, but this machine offers "
            f"{len(devices)}: lower replicas or --tensor-parallel-size"
        )
    return [",".join(devices[n * each : (n + 1) * each]) for n in range(replicas)]
