"""Pairs without their history, or with another session's: what does a preference lean on?

A model that prefers the chosen answer for what was said before loses its preference without that,
and with another session's history. One that prefers it for its style doesn't.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from parrot_core.analysis.likelihood.held_out_pairs import QueryPairs
from parrot_core.engines.types import Message
from parrot_core.stages.evaluation.summary import Judged
from parrot_core.stages.likelihoods import Scores, per_token

History = Literal["own", "none", "other"]
HISTORIES: dict[History, str] = {
    "own": "with its history",
    "none": "the query alone",
    "other": "with another session's history",
}


def with_history(queries: Sequence[QueryPairs], history: History) -> list[QueryPairs]:
    """The same pairs after another prompt; a system message stays with its query.

    Args:
        history: ``other`` takes that of the next query of another session, going round.
    """
    if history == "own":
        return list(queries)
    changed = []
    for place, query in enumerate(queries):
        own = query.prompt
        system = [message for message in own[:1] if message["role"] == "system"]
        before = [] if history == "none" else _turns(_other(queries, place).prompt[:-1])
        changed.append(replace(query, prompt=[*system, *before, own[-1]], placebo=None))
    return changed


def history_gains(
    queries: Sequence[QueryPairs], own: Scores, alone: Scores, model: str
) -> list[Judged]:
    """log p(chosen | history) − log p(chosen | query alone), a token, of each query."""
    points = []
    for query in queries:
        with_it, without = own[query.id], alone[query.id]
        assert with_it is not None
        assert without is not None
        gain = per_token(with_it[0]) - per_token(without[0])
        points.append(Judged(model, query.id, "chosen", query.turn, gain))
    return points


def _turns(prompt: Sequence[Message]) -> list[Message]:
    return [message for message in prompt if message["role"] != "system"]


def _other(queries: Sequence[QueryPairs], place: int) -> QueryPairs:
    session = _session(queries[place])
    around = [*queries[place + 1 :], *queries[:place]]
    return next((query for query in around if _session(query) != session), queries[place])


def _session(query: QueryPairs) -> str:
    return query.id.rpartition("/t")[0]
