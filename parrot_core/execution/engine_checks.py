"""Checks the engines of a recipe: one tiny request to each API, with its real parameters.

A run asks before the first shard of a stage, and once only; ``parrot check`` asks for all engines
of a recipe. What is refused then would be refused row by row.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from parrot_core.engines.access import api_key, check_reachable
from parrot_core.engines.connection import Engines
from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.limits.prices import price_of
from parrot_core.engines.small_request import SmallAnswer, ask_small, small_key
from parrot_core.engines.token_counts import is_used_up, used_up_words
from parrot_core.engines.types import ContentFiltered, EveryRequestRefused, RowError
from parrot_core.errors import ParrotError
from parrot_core.lake.journal import Entry, Journal, checks_folder
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import utc_now
from parrot_core.recipe import OpenAIEngine, Sampling
from parrot_core.stages.base import EngineUse, Stage
from parrot_core.stages.registry import STAGES

logger = logging.getLogger(__name__)

UNUSED = "no stage"


def ask_before_paying(run: Run, stage: Stage, engines: Engines) -> None:
    """Ask each API of a stage once, unless this run has done so before; its answer is journaled.

    Raises:
        RunError: what was asked would be refused to every row.
        ShardError: a provider keeps failing.
    """
    uses = list(_of_apis(run, stage.uses(run)))
    if not (run.recipe.ask_first and uses):
        return
    journal = Journal(run.lake.storage, checks_folder(run.name, stage.name), 0.0)

    async def ask_all() -> list[BaseException | None]:
        asked = (_ask_once(engines, use, journal) for use in uses)
        return await asyncio.gather(*asked, return_exceptions=True)

    try:
        for error in asyncio.run(ask_all()):
            if error is not None:
                raise error
    finally:
        journal.close()


async def _ask_once(engines: Engines, use: EngineUse, journal: Journal) -> None:
    if journal.get(small_key(engines, use.engine, use.sampling)) is not None:
        return
    asked = await _asked(engines, use)
    if asked is None:
        return
    answer = asked.answer
    entry = Entry(
        key=asked.key,
        sample=asked.sample,
        engine=use.engine,
        model=engines.connected(use.engine).model,
        text=answer.text,
        finish_reason=answer.finish_reason,
        prompt_tokens=answer.prompt_tokens or 0,
        completion_tokens=answer.completion_tokens or 0,
        usd=asked.usd,
        created_at=utc_now(),
        thinking=answer.thinking,
    )
    await journal.record(entry)
    engines.budget.journaled(asked.usd)


async def _asked(engines: Engines, use: EngineUse) -> SmallAnswer | None:
    """The answer to a tiny request; None if the provider found its content offensive.

    Raises:
        RunError: see :func:`ask_before_paying`.
    """
    try:
        asked = await ask_small(engines, use.engine, use.sampling)
    except ContentFiltered as error:
        logger.warning("engine '%s' was asked a greeting: %s", use.engine, error)
        return None
    except (RowError, EveryRequestRefused) as error:
        raise EveryRequestRefused(f"{error}. It was asked as in {use.setting}") from None
    if is_used_up(asked.answer.text, asked.answer.finish_reason) and not use.short:
        words = used_up_words(asked.body, use.sampling.max_tokens)
        raise EveryRequestRefused(f"engine '{use.engine}', asked as in {use.setting}: {words}")
    return asked


@dataclass(frozen=True, slots=True)
class EngineCheck:
    """What became of one tiny request to an engine."""

    engine: str
    model: str
    settings: tuple[str, ...]  # of the recipe, that ask it in this way
    reachable: bool = False
    accepted: bool = False
    sent: tuple[str, ...] = ()  # parameters, as they are called there
    usage_reported: bool | None = None
    thinks: bool | None = None
    latency_s: float | None = None
    usd: float = 0.0
    price_known: bool = False
    error: str = ""
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        names = self.__dataclass_fields__
        return {name: getattr(self, name) for name in names}


def check_engines(run: Run, only: Sequence[str] = ()) -> Iterator[EngineCheck]:
    """Ask each API of a recipe in each way that its stages do; yields what came of it.

    Args:
        run: with the recipe; it needn't have begun.
        only: names of engines; all when empty.
    """
    for (name, sampling), uses in _ways(run, only).items():
        yield _check(run, name, sampling, uses)


def _check(run: Run, name: str, sampling: Sampling, uses: Sequence[EngineUse]) -> EngineCheck:
    settings = run.recipe.engines[name]
    assert isinstance(settings, OpenAIEngine)
    named = tuple(dict.fromkeys(use.setting for use in uses))
    about: dict[str, Any] = {
        "engine": name,
        "model": settings.model,
        "settings": named,
        "price_known": price_of(settings) is not None,
    }
    reachable = False
    engines = Engines(run.recipe.seed, Budget(None))
    try:
        api_key(name, settings)
        check_reachable(name, settings)
        reachable = True
        engines.connect(name, settings, settings.model)
        short = all(use.short for use in uses)
        asked = asyncio.run(_asked(engines, EngineUse(name, " and ".join(named), sampling, short)))
    except ParrotError as error:
        code = error.exit_code
        return EngineCheck(**about, reachable=reachable, error=str(error), exit_code=code)
    finally:
        engines.close()
    if asked is None:
        return EngineCheck(**about, reachable=True, accepted=True)
    answer = asked.answer
    return EngineCheck(
        **about,
        reachable=True,
        accepted=True,
        sent=tuple(sorted(asked.body.keys() - {"model", "messages"})),
        usage_reported=None not in (answer.prompt_tokens, answer.completion_tokens),
        thinks=answer.thinking is not None or is_used_up(answer.text, answer.finish_reason),
        latency_s=round(asked.latency_s, 3),
        usd=asked.usd,
    )


def _ways(run: Run, only: Sequence[str]) -> dict[tuple[str, Sampling], list[EngineUse]]:
    """The different ways in which APIs are asked, each with the settings that ask so."""
    uses = [use for stage in STAGES for use in stage.uses(run) if use.engine in run.recipe.engines]
    used = {use.engine for use in uses}
    uses += [EngineUse(name, UNUSED, Sampling()) for name in run.recipe.engines if name not in used]
    ways: dict[tuple[str, Sampling], list[EngineUse]] = {}
    for use in _of_apis(run, uses):
        if not only or use.engine in only:
            ways.setdefault((use.engine, use.sampling), []).append(use)
    return ways


def _of_apis(run: Run, uses: Iterable[EngineUse]) -> Iterator[EngineUse]:
    for use in uses:
        if isinstance(run.recipe.engines[use.engine], OpenAIEngine):
            yield use
