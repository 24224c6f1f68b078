"""The engines of a stage: servers started, clients connected, limits shared, all closed at the end.

Shards run in threads, each with an event loop of its own; connections, limits and the budget are
shared. So the clients live on one loop in a background thread, and a shard's request hops there
and back.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import openai

from parrot_core.engines.limits import Budget, Limiter
from parrot_core.engines.openai_chat import OpenAIChat, as_messages, text_of
from parrot_core.engines.request import request_body, request_key, sampling_seed
from parrot_core.engines.types import (
    Completion,
    ContentFiltered,
    EngineUnreachable,
    Message,
    ShardError,
    Usage,
)
from parrot_core.engines.vllm_server import VllmServer, cpu_environment, is_cpu_build
from parrot_core.errors import MissingKey
from parrot_core.lake.journal import Entry, Journal
from parrot_core.lake.run_records import utc_now
from parrot_core.recipe import Engine, OpenAIEngine, Sampling, VllmEngine
from parrot_core.stage import Run
from parrot_core.training.models import resolve_model

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Connected:
    """One engine of the recipe, ready to be asked."""

    chat: OpenAIChat
    settings: Engine
    endpoint: str  # what the journal's key calls it; the same wherever the server happens to run
    model: str
    server: VllmServer | None


class Engines:
    """All engines that a stage uses."""

    def __init__(self, seed: int, budget: Budget) -> None:
        """Start the background loop; nothing is connected yet."""
        self.budget = budget
        self._seed = seed
        self._connected: dict[str, _Connected] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="parrot-engines", daemon=True
        )
        self._thread.start()

    def journaled(self, name: str, journal: Journal) -> "JournaledModel":
        """An engine for one shard, whose completions go through that shard's journal."""
        return JournaledModel(name, self._connected[name], self, journal, self._seed)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await a coroutine on the background loop, from any other loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def connect(self, name: str, settings: Engine, model: str, server: VllmServer | None) -> None:
        """Make an engine available under its name in the recipe."""
        if isinstance(settings, OpenAIEngine):
            base_url, key, endpoint = settings.base_url, api_key(name, settings), "openai"
        else:
            assert server is not None
            base_url, key, endpoint = server.base_url, "none", "vllm"
        client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=key,
            max_retries=0,
            timeout=settings.limits.timeout_s,
        )
        limiter = Limiter(settings.limits)
        chat = OpenAIChat(name, client, settings.limits, limiter, self.budget, settings.price)
        self._connected[name] = _Connected(chat, settings, endpoint, model, server)

    def close(self) -> None:
        """Stop the background loop; whatever was in flight is dropped."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class JournaledModel:
    """A ``ChatModel`` that buys nothing twice and returns nothing that could be lost."""

    def __init__(
        self, name: str, connected: _Connected, engines: Engines, journal: Journal, seed: int
    ) -> None:
        """See :meth:`Engines.journaled`."""
        self._name = name
        self._connected = connected
        self._engines = engines
        self._journal = journal
        self._seed = seed

    @property
    def name(self) -> str:
        """Its name in the recipe."""
        return self._name

    @property
    def model(self) -> str:
        """The model it runs: a name at a provider, or a version in the lake."""
        return self._connected.model

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, sample: str
    ) -> Completion:
        """See :class:`engines.types.ChatModel`."""
        settings = self._connected.settings
        field = settings.max_tokens_field if isinstance(settings, OpenAIEngine) else None
        body = request_body(
            self.model,
            as_messages(messages),
            sampling,
            sampling_seed(self._seed, sample),
            field or "max_completion_tokens",
        )
        key = request_key(self._connected.endpoint, body, sample)
        entry = self._journal.get(key)
        if entry is None:
            entry = await self._buy(key, body, sample, sampling.max_tokens)
            await self._journal.record(entry)
        if entry.finish_reason == "content_filter":  # journaled: it was paid for as well
            raise ContentFiltered(f"engine '{self._name}' cut the completion: content filter")
        return Completion(
            text=entry.text,
            finish_reason=entry.finish_reason,
            usage=Usage(entry.prompt_tokens, entry.completion_tokens, 1),
            engine=entry.engine,
            model=entry.model,
            request_key=key,
        )

    async def _buy(self, key: str, body: dict[str, Any], sample: str, max_tokens: int) -> Entry:
        server = self._connected.server
        try:
            answer, usd = await self._engines.run(self._connected.chat.send(body, max_tokens))
        except (ShardError, EngineUnreachable):
            if server is not None:
                server.check_alive()  # says more than "connection refused"
            raise
        text, finish_reason = text_of(answer)
        return Entry(
            key=key,
            sample=sample,
            engine=self._name,
            model=self.model,
            text=text,
            finish_reason=finish_reason,
            prompt_tokens=answer.usage.prompt_tokens if answer.usage else 0,
            completion_tokens=answer.usage.completion_tokens if answer.usage else 0,
            usd=usd,
            created_at=utc_now(),
        )


def api_key(name: str, settings: OpenAIEngine) -> str:
    """The key from the environment.

    Raises:
        MissingKey: the variable isn't set.
    """
    if settings.api_key_env is None:
        return "none"
    key = os.environ.get(settings.api_key_env)
    if not key:
        raise MissingKey(name, settings.api_key_env)
    return key


def check_reachable(name: str, settings: OpenAIEngine) -> None:
    """Fail before any work is done when an API can't serve this run.

    Raises:
        MissingKey: its key isn't in the environment.
        EngineUnreachable: nothing answers at its address.
    """
    headers = {"Authorization": f"Bearer {api_key(name, settings)}"}
    try:
        httpx.get(f"{settings.base_url.rstrip('/')}/models", headers=headers, timeout=10)
    except httpx.HTTPError as error:
        raise EngineUnreachable(
            f"engine '{name}': nothing answers at {settings.base_url} ({type(error).__name__})"
        ) from None


@contextmanager
def open_engines(run: Run, names: Sequence[str], budget: Budget) -> Iterator[Engines]:
    """Start and connect the named engines of the run's recipe; close them at the end.

    Engines that serve the same model with the same settings share one vLLM process.
    """
    engines = Engines(run.recipe.seed, budget)
    servers: dict[str, VllmServer] = {}
    try:
        wanted = {name: run.recipe.engines[name] for name in dict.fromkeys(names)}
        local = {n: s for n, s in wanted.items() if isinstance(s, VllmEngine)}
        models = {name: model_identity(run, settings) for name, settings in wanted.items()}
        _start_servers(run, local, models, servers)
        for server in servers.values():
            server.wait_until_ready()
        for name, settings in wanted.items():
            server_of = servers[_server_key(settings)] if isinstance(settings, VllmEngine) else None
            engines.connect(name, settings, models[name], server_of)
        yield engines
    finally:
        for server in servers.values():
            server.stop()
        engines.close()


def _start_servers(
    run: Run,
    local: Mapping[str, VllmEngine],
    models: Mapping[str, str],
    servers: dict[str, VllmServer],
) -> None:
    distinct = {_server_key(settings): name for name, settings in reversed(list(local.items()))}
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    for position, (key, name) in enumerate(distinct.items()):
        settings = local[name]
        environment = cpu_environment(position, len(distinct), cores) if is_cpu_build() else {}
        servers[key] = VllmServer(
            settings,
            str(resolve_model(settings.model, run)),
            models[name],
            run.work_dir / "logs" / f"vllm-{name}.log",
            environment,
        )


def _server_key(settings: VllmEngine) -> str:
    return settings.model_dump_json(exclude={"limits", "price"})


def model_identity(run: Run, settings: Engine) -> str:
    """What the journal and the provenance call a model: stable over machines and restarts."""
    if isinstance(settings, VllmEngine) and settings.model.startswith("lake:"):
        name, _, version = settings.model.removeprefix("lake:").partition("@")
        return f"{name}@{version or run.version_of(name)}"
    return settings.model
