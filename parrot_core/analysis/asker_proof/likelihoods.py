"""How likely models find what people asked next, by turn, and the end of a session."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import exp
from pathlib import Path
from typing import Any

import numpy as np

from parrot_core.analysis.asker_proof.contexts import HeldOutContext, SessionEdges
from parrot_core.analysis.likelihood.likelihoods import compare_likelihoods
from parrot_core.engines.types import Message
from parrot_core.estimates import Places, area_under_curve, resampled
from parrot_core.stages.likelihoods import LikelihoodRequest, Scorer, Scores, scores_of
from parrot_core.stages.synthesis.role_play import END, role_play
from parrot_core.stages.training.end_figures import Judged, figures_of
from parrot_core.telemetry.progress import SILENT, ProgressReporter
from parrot_core.text.control_tokens import END_OF_SESSION

GROUPS = ("follow-ups", "turn 2", "turns 3-4", "turns 5+", "opening queries")
OPENING, ENDING, GOING_ON = "#opening", "#ending", "#going-on"


@dataclass(frozen=True, slots=True)
class ScoredWriter:
    """A model as the writer of a user's turns: how it is asked, and how it would end a session."""

    name: str
    scorer: Scorer
    plays: bool = False
    end: str = ""  # a bare user turn ends a session by being empty


def scored_writers(
    base: Scorer, asker: Scorer, player: Scorer | None, bare: Scorer | None
) -> list[ScoredWriter]:
    """The four: the asker before and after its training, the role play, and the bare turn."""
    found = [
        ScoredWriter("asker", asker, end=END_OF_SESSION),
        ScoredWriter("base", base),
    ]
    if player is not None:
        found.append(ScoredWriter("role_play", player, plays=True, end=END))
    if bare is not None:
        found.append(ScoredWriter("bare", bare))
    return found


def score_all(
    writers: Sequence[ScoredWriter],
    contexts: Sequence[HeldOutContext],
    edges: Mapping[str, SessionEdges],
    max_length: int,
    folder: Path,
    reporter: ProgressReporter = SILENT,
) -> dict[str, Scores]:
    """Score every writer; a bare turn of the very base is scored once."""
    found: dict[str, Scores] = {}
    for writer in writers:
        base = next((w for w in writers if w.name == "base"), None)
        if writer.name == "bare" and base and writer.scorer.model == base.scorer.model:
            found["bare"] = found["base"]
            continue
        asked = requests(writer, contexts, edges)
        found[writer.name] = scores_of(writer.scorer, asked, max_length, folder, reporter)
    return found


def requests(
    writer: ScoredWriter, contexts: Sequence[HeldOutContext], edges: Mapping[str, SessionEdges]
) -> list[LikelihoodRequest]:
    """What a writer is asked: people's follow-ups, their openings, and the end, at its places.

    Where people went on the end is the second answer to their own prompt, unless the writer is
    told otherwise that it may go.
    """
    role = "assistant" if writer.plays else "user"

    def asked(id: str, history: Sequence[Message], *said: str, may_end: bool = False) -> Any:
        prompt = role_play(history, may_end=may_end) if writer.plays else list(history)
        return LikelihoodRequest(id, prompt, [[_message(role, text)] for text in said])

    found = []
    for context in contexts:
        known = edges.get(context.id, SessionEdges())
        measured = bool(known.ending)
        shared = [writer.end] if measured and not writer.plays else []
        found.append(asked(context.id, context.history, context.query, *shared))
        if known.opening:
            found.append(asked(context.id + OPENING, (), known.opening))
        if measured:
            found.append(asked(context.id + ENDING, known.ending, writer.end, may_end=True))
            if writer.plays:
                id = context.id + GOING_ON
                found.append(asked(id, context.history, writer.end, may_end=True))
    return found


def _message(role: str, text: str) -> Message:
    return {"role": "assistant" if role == "assistant" else "user", "content": text}


def by_group(
    found: Mapping[str, Scores], contexts: Sequence[HeldOutContext], seed: int
) -> dict[str, Any]:
    """:func:`compare_likelihoods` of each of :data:`GROUPS` that has queries."""
    members: dict[str, list[str]] = {group: [] for group in GROUPS}
    for context in contexts:
        members["follow-ups"].append(context.id)
        members[_band(context.turn)].append(context.id)
        if all(context.id + OPENING in scores for scores in found.values()):
            members["opening queries"].append(context.id + OPENING)
    return {group: compare_likelihoods(found, ids, seed) for group, ids in members.items() if ids}


def _band(turn: int) -> str:
    return "turn 2" if turn <= 2 else "turns 3-4" if turn <= 4 else "turns 5+"


def endings(
    found: Mapping[str, Scores],
    contexts: Sequence[HeldOutContext],
    edges: Mapping[str, SessionEdges],
    seed: int,
) -> dict[str, Any]:
    """Each writer's end as a detector of where people stopped, see :func:`figures_of`.

    A session gives two places: the context, where its human went on, and its end. ``less`` is the
    first writer's AUC less each other's.
    """
    ended = [
        context
        for context in contexts
        if edges.get(context.id, SessionEdges()).ending
        and all(scores[context.id] and scores[context.id + ENDING] for scores in found.values())
    ]
    logps = {who: _end_logps(scores, ended) for who, scores in found.items()}

    def auc(who: str, places: Places) -> float:
        drawn = np.array(logps[who])[places] if len(places) else np.empty((0, 2))
        labels = np.repeat(np.array([0, 1]), len(drawn))
        return area_under_curve(labels, drawn.T.reshape(-1))

    first, *others = logps

    def less(who: str, places: Places) -> float:
        return auc(first, places) - auc(who, places)

    result: dict[str, Any] = {}
    for who, pairs in logps.items():
        judged: list[Judged] = []
        for context, (going_on, ending) in zip(ended, pairs, strict=True):
            judged.append((context.turn, False, exp(going_on)))
            judged.append((edges[context.id].turns + 1, True, exp(ending)))
        result[who] = figures_of(judged) | {
            "auc": asdict(resampled(partial(auc, who), len(ended), seed))
        }
    result["less"] = {
        who: asdict(resampled(partial(less, who), len(ended), seed)) for who in others
    }
    return result


def _end_logps(scores: Scores, contexts: Sequence[HeldOutContext]) -> list[tuple[float, float]]:
    """The end's log-probability where each session went on, and where it stopped."""
    found = []
    for context in contexts:
        goes_on = scores.get(context.id + GOING_ON) or (scores[context.id] or [])[1:]
        ending = scores[context.id + ENDING]
        assert goes_on
        assert ending
        found.append((goes_on[0][0], ending[0][0]))
    return found
