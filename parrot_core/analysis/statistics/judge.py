"""An LLM judge's view on which follow-up queries depend on context, beside that of the rules."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from parrot_core.analysis.statistics.dependence import kind_of_dependence
from parrot_core.analysis.statistics.reading import SessionSet
from parrot_core.analysis.statistics.sampling import Draw, lot
from parrot_core.analysis.statistics.values import Agreement, Figure
from parrot_core.engines.connection import open_engines
from parrot_core.engines.in_flight import in_flight
from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.limits.prices import price_of
from parrot_core.engines.types import ChatModel, Message, RowError
from parrot_core.errors import UserError
from parrot_core.estimates import IntervalEstimate, Places, cohens_kappa, ratio, resampled
from parrot_core.judging.depends import DependenceVerdict, judge_dependence
from parrot_core.lake.journal import Journal
from parrot_core.lake.run import Run
from parrot_core.lake.shard_records import ShardRecords
from parrot_core.recipe import OpenAIEngine, Sampling

STAGE = "statistics"
"""Where the journal lies in the run's records, so that the run's budget counts what it cost."""
_JOURNAL_SPACING_S = 0.2


@dataclass(frozen=True, slots=True)
class DependenceQuestion:
    """One follow-up query to be judged, with what the rules say of it."""

    id: str
    language: str | None
    history: tuple[Message, ...]
    query: str
    rules: bool


@dataclass(frozen=True, slots=True)
class Questions:
    """A sample of follow-up queries, and how many a session has in the whole set."""

    drawn: tuple[DependenceQuestion, ...]
    follow_ups_a_session: float


def draw_questions(sessions: SessionSet, limit: int, seed: int) -> Questions:
    """Draw follow-up queries, each with the same chance, in one pass."""
    draw: Draw[DependenceQuestion] = Draw(limit, seed, "judge")
    count = follow_ups = 0
    for session in sessions.sessions(lambda _: None):
        count += 1
        for turn in range(2, session.turns + 1):
            follow_ups += 1
            query = session.queries[turn - 1]
            key = f"{session.id}/t{turn}"
            rules = kind_of_dependence(session, turn) is not None
            history = session.history(turn)
            draw.offer(key, DependenceQuestion(key, session.language, history, query, rules))
    return Questions(tuple(draw.items()), follow_ups / max(1, count))


def judged(run: Run, engine: str, sessions: SessionSet, limit: int, seed: int) -> Agreement:
    """Ask an engine of the run's recipe; answers are journaled and never bought twice.

    Limits, price and budget are the recipe's; what this costs counts against the run's budget.

    Raises:
        UserError: the recipe has no such engine.
        EngineError: the engine can't be reached, or the budget is reached.
    """
    if engine not in run.recipe.engines:
        known = ", ".join(run.recipe.engines)
        raise UserError(f"--judge {engine}: the recipe has no such engine (engines: {known})")
    questions = draw_questions(sessions, limit, seed)
    select = run.recipe.select
    with open_engines(run, [engine], Budget(run.recipe.budget_usd), STAGE) as engines:
        folder = ShardRecords(run.lake.storage, run.name, STAGE, 0).journal_folder
        journal = Journal(run.lake.storage, folder, _JOURNAL_SPACING_S)
        try:
            model = engines.journaled(engine, journal, 0)
            verdicts = asyncio.run(
                ask(questions.drawn, model, select.verdict, select.queries_in_flight)
            )
        finally:
            journal.close()
        asked = {question.id for question in questions.drawn}
        bought = [
            entry
            for entry in journal.entries()
            if entry.engine == engine and entry.sample.rsplit("/depends/", 1)[0] in asked
        ]
        settings = run.recipe.engines[engine]
        priced = not isinstance(settings, OpenAIEngine) or price_of(settings) is not None
        return agreement(
            questions,
            verdicts,
            model.model,
            seed,
            requests=len(bought),
            usd=sum(entry.usd for entry in bought) if priced else None,
        )


async def ask(
    questions: Sequence[DependenceQuestion], judge: ChatModel, sampling: Sampling, at_once: int
) -> list[DependenceVerdict | None]:
    """The judge's verdict on each question, in order; None where the engine gave up on it."""
    verdicts: dict[str, DependenceVerdict] = {}

    async def look(question: DependenceQuestion) -> None:
        try:
            verdicts[question.id] = await judge_dependence(
                question.id, question.history, question.query, question.language, judge, sampling
            )
        except RowError:
            return  # counted as unreadable: it has no verdict

    await in_flight(questions, at_once, look)
    return [verdicts.get(question.id) for question in questions]


def agreement(
    questions: Questions,
    verdicts: Sequence[DependenceVerdict | None],
    judge: str,
    seed: int,
    *,
    requests: int = 0,
    usd: float | None = 0.0,
) -> Agreement:
    """Raw agreement and Cohen's κ (Cohen 1960), with bootstrap intervals over queries."""
    said = [
        (question.rules, verdict.depends)
        for question, verdict in zip(questions.drawn, verdicts, strict=True)
        if verdict is not None and verdict.depends is not None
    ]
    cells = Counter(said)
    n, rate = len(said), questions.follow_ups_a_session
    draws = lot(seed, "bootstrap", "judge") % 2**63

    def figure(name: str, title: str, found: IntervalEstimate) -> Figure:
        return Figure(name=name, title=title, **asdict(found), n=n, of="queries judged")

    def kappa(places: Places) -> float:
        found = cohens_kappa(said[place] for place in places)
        return float("nan") if found is None else found

    same = [float(rules == judge_says) for rules, judge_says in said]
    dependent = [rate * judge_says for _, judge_says in said]
    return Agreement(
        judge=judge,
        asked=len(questions.drawn),
        unreadable=len(questions.drawn) - n,
        both=cells[True, True],
        rules_only=cells[True, False],
        judge_only=cells[False, True],
        neither=cells[False, False],
        raw=figure("agreement", "raw agreement", ratio((same, [1.0] * n), draws)),
        kappa=figure("kappa", "Cohen's κ", resampled(kappa, n, draws)),
        judged_per_session=figure(
            "context_dependent_judged",
            "context-dependent queries a session (judge)",
            ratio((dependent, [1.0] * n), draws),
        ),
        requests=requests,
        usd=usd,
    )
