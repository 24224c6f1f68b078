"""The engines of a stage: servers started, clients connected, limits shared, all closed at the end.

Shards run in threads, each with an event loop of its own; connections, limits and the budget are
shared. So the clients live on one loop in a background thread, and a shard's request hops there
and back.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import httpx2
import openai

from parrot_core.engines.access import api_key, endpoints_of
from parrot_core.engines.batch.engine import batch_chat
from parrot_core.engines.endpoint import Endpoint
from parrot_core.engines.journaled import Connected, JournaledModel
from parrot_core.engines.limits.breaker import Breaker
from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.limits.limits import Limiter, Share
from parrot_core.engines.limits.prices import check_prices, price_of
from parrot_core.engines.limits.sharing import Sharing
from parrot_core.engines.openai_chat import OpenAIChat, Purchase
from parrot_core.engines.pause_watcher import PauseWatcher
from parrot_core.engines.shaping import shape_of
from parrot_core.engines.vllm.fleet import all_of, server_key, start_servers
from parrot_core.engines.vllm.replicas import Replicas
from parrot_core.engines.vllm.server import VllmServer
from parrot_core.errors import BatchesOpen
from parrot_core.lake.batch_records import BatchRecords
from parrot_core.lake.journal import Journal
from parrot_core.lake.pauses import Pauses
from parrot_core.lake.run import Run
from parrot_core.lake.spending import Spending
from parrot_core.lake.workers import Workers
from parrot_core.recipe import Engine, Limits, OpenAIEngine, VllmEngine
from parrot_core.telemetry.stop_request import stop_request
from parrot_core.telemetry.traffic import Traffic

T = TypeVar("T")

"""Longest wait for an address to answer at all."""


class Engines:
    """All engines that a stage uses."""

    def __init__(self, seed: int, budget: Budget, traced: float = 0.0) -> None:
        """Start the background loop; nothing is connected yet.

        ``traced`` is the share of sessions whose requests get spans.
        """
        self.budget = budget
        self.traced = traced
        self._seed = seed
        self._connected: dict[str, Connected] = {}
        self._limiters: dict[str, Limiter] = {}
        self._closing: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._sharing: Sharing | None = None
        self._holding: PauseWatcher | None = None
        self._may_buy = asyncio.Event()  # lives on the background loop
        self._may_buy.set()
        self._held = ""
        self._out: set[Callable[[], object]] = set()  # ends what waits, if asked to stop
        self._stop = stop_request()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="parrot-engines", daemon=True
        )
        self._thread.start()
        self._stop.listen(self._send_no_more)

    def journaled(
        self,
        name: str,
        journal: Journal,
        shard: int,
        traffic: Traffic | None = None,
    ) -> JournaledModel:
        """An engine for one attempt at a shard; its completions go through the shard's journal.

        ``traffic`` counts the attempt's requests to it.
        """
        connected = self._connected[name]
        counted = traffic or Traffic()
        return JournaledModel(name, connected, self, journal, shard, self._seed, counted)

    @property
    def seed(self) -> int:
        return self._seed

    def connected(self, name: str) -> Connected:
        return self._connected[name]

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await a coroutine on the background loop, from any other loop.

        Raises:
            RunStopped: this process is to stop.
        """
        answer = self._begun(work)
        with self._ended_by_stop(answer.cancel):
            return await asyncio.wrap_future(answer)

    async def buy(self, work: Coroutine[Any, Any, T], purchase: Purchase) -> T:
        """Like :meth:`run`, but a request that is out is waited for, even by a cancelled caller.

        Such a caller gets the answer all the same, and must keep it before it ends.
        """
        answer = asyncio.wrap_future(self._begun(work))
        leave = partial(self._loop.call_soon_threadsafe, purchase.leave)
        with self._ended_by_stop(leave):
            try:
                return await asyncio.shield(answer)
            except asyncio.CancelledError:
                leave()
                return await answer

    def _begun(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        if self._stop.asked:  # nothing new goes out
            work.close()
            self._stop.check()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @contextmanager
    def _ended_by_stop(self, leave: Callable[[], object]) -> Iterator[None]:
        """When the process is to stop, what waits inside is ended by ``leave``."""
        self._out.add(leave)
        if self._stop.asked:
            leave()
        try:
            yield
        except asyncio.CancelledError:
            self._stop.check()
            raise
        finally:
            self._out.discard(leave)

    def _send_no_more(self) -> None:
        for leave in tuple(self._out):
            leave()

    def tell(self, listener: Callable[[str], None], news: str) -> None:
        """Call a function on the background loop, soon."""
        self._loop.call_soon_threadsafe(listener, news)

    def waiting(self) -> dict[str, str]:
        """Engines that wait for a batch, and for which, in words for people."""
        told = {n: each.batches.waiting() for n, each in self._connected.items() if each.batches}
        return {name: what for name, what in told.items() if what is not None}

    def paused(self) -> dict[str, str]:
        """Engines that stand still, and why, in words for people."""
        if self._held:
            return dict.fromkeys(self._connected, self._held)
        pauses = {name: each.chat.limiter.breaker.pause for name, each in self._connected.items()}
        return {name: str(pause) for name, pause in pauses.items() if pause is not None}

    def connect(
        self,
        name: str,
        settings: Engine,
        model: str,
        servers: Sequence[VllmServer] = (),
        limits: Limits | None = None,
        records: BatchRecords | None = None,
    ) -> None:
        """Make an engine available under its name in the recipe.

        Args:
            servers: the processes that serve it, one a replica; none for an API.
            limits: those of all engines with this model at this provider together.
            records: where the stage keeps its batches; without it nothing is bought in batches.

        Raises:
            BatchesOpen: earlier batches of an engine that isn't to be asked in batches any more.
        """
        if isinstance(settings, OpenAIEngine):
            endpoints, called = endpoints_of(name, settings), "openai"
        else:
            timeout_s, called = settings.limits.timeout_s, "vllm"
            endpoints = [Endpoint(server.base_url, timeout_s) for server in servers]
        self._closing += [endpoint.close for endpoint in endpoints]
        replicas = Replicas([(endpoint.address, endpoint) for endpoint in endpoints])
        limiter = self._limiter(limit_name(name, settings), name, limits or settings.limits)

        def still_there() -> None:  # says more than "connection refused"
            for server in servers:
                server.check_alive()

        chat = OpenAIChat(
            name,
            replicas,
            settings.limits,
            limiter,
            self.budget,
            price_of(settings),
            still_there=still_there,
        )
        batches = None
        if isinstance(settings, OpenAIEngine) and records is not None:
            if settings.batch is not None:
                client = _batch_client(name, settings)
                self._closing.append(client.close)
                batches = batch_chat(name, client, settings, self.budget, records)
            elif left := records.open_of(name):
                raise BatchesOpen(name, left)
        self._connected[name] = Connected(chat, shape_of(settings), called, model, batches)

    def share(self, run: Run) -> None:
        """Share limits and money with the run's other workers from now on.

        A model of our own needs no sharing; money does as soon as something costs any.
        """
        apis = {
            n: s for n in self._connected if isinstance(s := run.recipe.engines[n], OpenAIEngine)
        }
        shared = {limit_name(name, settings) for name, settings in apis.items()}
        if not shared and self.budget.cap_usd is None:
            return
        storage = run.lake.storage
        self._sharing = Sharing(
            Workers(storage, run.name),
            {name: self._limiters[name] for name in sorted(shared)},
            self.budget,
            Spending(storage, run.name),
            self._give,
            self.paused,
        )
        self._sharing.start()

    def hold(self, run: Run) -> None:
        """Let nothing go out while the run is paused, from now on.

        Raises:
            StorageError: the lake can't be reached.
        """
        self._holding = PauseWatcher(Pauses(run.lake.storage, run.name), self._hold)
        self._holding.start()

    async def may_buy(self) -> None:
        """Wait while the run is paused. On the background loop."""
        await self._may_buy.wait()

    def close(self) -> None:
        """Stop the background loop; whatever was in flight is dropped."""
        self._stop.unlisten(self._send_no_more)
        if self._holding is not None:
            self._holding.stop()
        if self._sharing is not None:
            self._sharing.stop()
        for each in self._connected.values():
            if each.batches is not None:
                asyncio.run_coroutine_threadsafe(each.batches.close(), self._loop).result()
        for close in self._closing:
            asyncio.run_coroutine_threadsafe(close(), self._loop).result()
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _limiter(self, key: str, name: str, limits: Limits) -> Limiter:
        if key not in self._limiters:
            self._limiters[key] = Limiter(limits, breaker=Breaker(name, limits))
        return self._limiters[key]

    def _hold(self, why: str) -> None:
        self._held = why

        def hold() -> None:
            for limiter in self._limiters.values():
                limiter.hold(why)
            self._may_buy.clear() if why else self._may_buy.set()

        self._loop.call_soon_threadsafe(hold)

    def _give(self, limiter: Limiter, share: Share, until: float) -> int:
        async def give() -> int:
            limiter.set_share(share, until)
            return limiter.in_flight

        return asyncio.run_coroutine_threadsafe(give(), self._loop).result()


def _batch_client(name: str, settings: OpenAIEngine) -> openai.AsyncOpenAI:
    """A client for the Batch API: its files and orders are few."""
    key, timeout_s = api_key(name, settings), settings.limits.timeout_s
    limits = httpx2.Limits(max_connections=0)
    return openai.AsyncOpenAI(
        base_url=settings.base_url,
        api_key=key or "none",
        max_retries=0,
        timeout=timeout_s,
        http_client=openai.DefaultAioHttpClient(
            limits=limits, timeout=timeout_s, event_hooks={"request": [] if key else [_keyless]}
        ),
    )


async def _keyless(request: httpx2.Request) -> None:
    """Send no key where there is none; the client insists on one."""
    del request.headers["Authorization"]


async def _cancel_all() -> None:
    """Cancel what still runs on this loop: its callers would wait for ever."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def limit_name(name: str, settings: Engine) -> str:
    """What an engine's limits belong to: a model at a provider, or a model that we serve."""
    if isinstance(settings, OpenAIEngine):
        return f"{settings.base_url.rstrip('/')} {settings.model}"
    return name


def strictest(all_limits: Sequence[Limits]) -> Limits:
    """The limits of several engines that use one model at one provider."""
    first, *more = all_limits
    for other in more:
        tighter = {
            "concurrency": min(first.concurrency, other.concurrency),
            "requests_per_minute": _tighter(first.requests_per_minute, other.requests_per_minute),
            "tokens_per_minute": _tighter(first.tokens_per_minute, other.tokens_per_minute),
        }
        first = first.model_copy(update=tighter)
    return first


def _tighter(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


@contextmanager
def open_engines(
    run: Run, names: Sequence[str], budget: Budget, stage: str, *, alone: bool = False
) -> Iterator[Engines]:
    """Start and connect the engines of a stage; close them at the end.

    Engines that serve the same model with the same settings share one vLLM process. What is done
    ``alone``, before a run or beside it, shares no limits with its workers, and orders no batches.
    """
    check_prices(run.recipe, names)
    traces = run.recipe.traces
    engines = Engines(run.recipe.seed, budget, traces.requests if traces else 0.0)
    servers: dict[str, list[VllmServer]] = {}
    try:
        wanted = {name: run.recipe.engines[name] for name in dict.fromkeys(names)}
        local = {n: s for n, s in wanted.items() if isinstance(s, VllmEngine)}
        models = {name: model_identity(run, settings) for name, settings in wanted.items()}
        start_servers(run, local, models, servers)
        for server in all_of(servers):
            server.wait_until_ready()
        records = None if alone else BatchRecords(run.lake.storage, run.name, stage)
        together: dict[str, list[Limits]] = {}
        for name, settings in wanted.items():
            together.setdefault(limit_name(name, settings), []).append(settings.limits)
        for name, settings in wanted.items():
            mine = servers[server_key(settings)] if isinstance(settings, VllmEngine) else []
            limits = strictest(together[limit_name(name, settings)])
            engines.connect(name, settings, models[name], mine, limits, records)
        if not alone:
            engines.share(run)
            engines.hold(run)
        yield engines
    finally:
        for server in all_of(servers):
            server.stop()
        engines.close()


def model_identity(run: Run, settings: Engine) -> str:
    """What the journal and the provenance call a model: stable over machines and restarts."""
    if isinstance(settings, VllmEngine) and settings.model.startswith("lake:"):
        name, _, version = settings.model.removeprefix("lake:").partition("@")
        return f"{name}@{version or run.version_of(name)}"
    return settings.model
