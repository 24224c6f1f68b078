"""The held-out proof of a run's asker: against its base, and against a model that plays the user.

Sun et al. 2024, §1 and §3.1: a model trained on the users' turns asks as people do, in context; an
instruct model that is told to play the user asks self-contained questions. Measured on sessions
that no model under test has learned from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from parrot_core.analysis.asker_proof.contexts import Bounds, Drawn, HeldOutContext, draw_contexts
from parrot_core.analysis.asker_proof.measures import (
    IntervalEstimate,
    differences,
    estimates,
    look_at,
    refusals,
    told_apart,
)
from parrot_core.analysis.asker_proof.writing import STAGE, write_queries
from parrot_core.analysis.likelihood.held_out_pairs import ModelName, learned_by
from parrot_core.analysis.statistics.reading import HELDOUT, HUMAN, VersionSessions
from parrot_core.analysis.statistics.sampling import ratio, ratio_difference
from parrot_core.engines.connection import model_identity
from parrot_core.engines.types import Message
from parrot_core.errors import UserError
from parrot_core.lake.run import Run
from parrot_core.models.references import resolve_model
from parrot_core.recipe import VllmEngine
from parrot_core.stages.likelihoods import LikelihoodRequest, Scorer, Scores, scores_of
from parrot_core.stages.synthesis.role_play import role_play
from parrot_core.telemetry.progress import SILENT, ProgressReporter

ASKER = "parrot-ask"


@dataclass(frozen=True, slots=True)
class ProofSettings:
    """What to measure, and on how much."""

    bounds: Bounds
    instruct: str | None = None  # engine that plays the user; None: the recipe's answerer
    max_tokens: int = 96  # of a written query; the rest of the sampling is synthesize.ask
    max_length: int = 2048  # tokens of history and query when likelihoods are measured


def proof_file(run: str) -> str:
    """Where a run's newest proof is kept in the lake."""
    return f"runs/{run}/proof.json"


def prove(run: Run, settings: ProofSettings, reporter: ProgressReporter = SILENT) -> dict[str, Any]:
    """Measure a run's asker on held-out human sessions; ``told`` is told of each text.

    Returns:
        JSON: ``contexts`` with ``taken``, ``sessions`` and ``left_out`` by reason;
        ``likelihood``, see :func:`likelihoods`; ``follow_ups`` by writer (``human``, ``asker``,
        ``instruct``) and measure, ``differences`` of the asker to the two others, paired,
        ``refused`` by writer and filter rule, ``told_apart`` by writer; ``queries``: what each
        wrote.

    Raises:
        MissingVersion: the run has no asker, or what it was trained on is gone.
        UserError: nothing was held out, or the recipe has no such engine.
        EngineError: an engine can't be reached, or the budget is reached.
    """
    asker = run.recipe.synthesize.asker
    instruct = settings.instruct or run.recipe.synthesize.answerer
    if instruct not in run.recipe.engines:
        known = ", ".join(run.recipe.engines)
        raise UserError(f"--instruct {instruct}: the recipe has no such engine (engines: {known})")
    drawn, conversations = _contexts(run, settings.bounds)
    sampling = run.recipe.synthesize.ask.model_copy(update={"max_tokens": settings.max_tokens})
    asked, played = write_queries(run, drawn.contexts, asker, instruct, sampling, reporter)
    texts = {"human": [c.query for c in drawn.contexts], "asker": asked, "instruct": played}
    return {
        "run": run.name,
        "asker": model_identity(run, run.recipe.engines[asker]),
        "instruct": model_identity(run, run.recipe.engines[instruct]),
        "conversations": conversations,
        "seed": run.recipe.seed,
        "settings": asdict(settings) | {"sampling": sampling.model_dump(mode="json")},
        "contexts": {
            "taken": len(drawn.contexts),
            "sessions": drawn.sessions,
            "left_out": drawn.left_out,
        },
        "likelihood": _likelihood(run, drawn.contexts, instruct, settings.max_length, reporter),
        **compared(run, drawn.contexts, texts),
    }


def _contexts(run: Run, bounds: Bounds) -> tuple[Drawn, str]:
    model = ModelName(ASKER, run.version_of(ASKER))
    version = run.lake.manifest("model", model.name, model.version).inputs.get(HUMAN)
    if version is None:
        raise UserError(f"{model.name}@{model.version} was not trained here: nothing was held out")
    folder = run.work_dir / STAGE
    folder.mkdir(parents=True, exist_ok=True)
    learned = learned_by(run.lake, model, folder).sessions
    sessions = VersionSessions(run.lake.dataset(HUMAN, version), HELDOUT)
    drawn = draw_contexts(sessions.sessions(lambda _: None), learned, bounds, run.recipe.seed)
    if not drawn.contexts:
        why = ", ".join(f"{n} {reason}" for reason, n in drawn.left_out.items()) or "none held out"
        raise UserError(f"{HUMAN}@{version}: no held-out follow-up to ask about ({why})")
    return drawn, version


def compared(
    run: Run, contexts: Sequence[HeldOutContext], texts: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """What the three writers' queries are like, and how the asker's differ, as JSON."""
    seed = run.recipe.seed
    looks = {
        who: [look_at(c, text, run.recipe.filter) for c, text in zip(contexts, said, strict=True)]
        for who, said in texts.items()
    }
    apart, notes = {}, []
    for who in ("asker", "instruct"):
        figure, more = told_apart(contexts, texts[who], seed)
        apart[who] = figure.model_dump(mode="json")
        notes += [f"{who}: {note}" for note in more]
    queries = [
        {"id": context.id} | {who: said[place] for who, said in texts.items()}
        for place, context in enumerate(contexts)
    ]
    return {
        "follow_ups": {who: _json(estimates(seen, seed)) for who, seen in looks.items()},
        "differences": {
            who: _json(differences(looks["asker"], looks[who], seed))
            for who in ("instruct", "human")
        },
        "refused": {who: refusals(seen) for who, seen in looks.items()},
        "told_apart": apart,
        "notes": notes,
        "queries": queries,
    }


def _json(found: Mapping[str, IntervalEstimate]) -> dict[str, Any]:
    return {name: asdict(estimate) for name, estimate in found.items()}


def _likelihood(
    run: Run,
    contexts: Sequence[HeldOutContext],
    instruct: str,
    max_length: int,
    reporter: ProgressReporter,
) -> dict[str, Any]:
    """How likely the human's follow-up is: to the base model, to the asker, to the role player."""
    manifest = run.lake.manifest("model", ASKER, run.version_of(ASKER))
    asker = resolve_model(f"lake:{ASKER}@{manifest.version}", run)
    assert not isinstance(asker, str)
    base = resolve_model(str(manifest.metrics["base"]), run)
    folder = run.work_dir / STAGE
    plain = [_asked(c, c.history, "user") for c in contexts]
    # The base is asked with the asker's template: what the training began from.
    found = {
        "before": scores_of(Scorer("before", base, asker), plain, max_length, folder, reporter),
        "after": scores_of(Scorer("after", asker), plain, max_length, folder, reporter),
    }
    player = run.recipe.engines[instruct]
    if isinstance(player, VllmEngine):
        played = [_asked(c, role_play(c.history), "assistant") for c in contexts]
        scorer = Scorer("role-play", resolve_model(player.model, run))
        found["role_play"] = scores_of(scorer, played, max_length, folder, reporter)
    return likelihoods(found, run.recipe.seed)


def _asked(context: HeldOutContext, prompt: Sequence[Message], role: str) -> LikelihoodRequest:
    answer: Message = {"role": "user", "content": context.query}
    if role == "assistant":
        answer = {"role": "assistant", "content": context.query}
    return LikelihoodRequest(context.id, prompt, [[answer]])


def likelihoods(found: Mapping[str, Scores], seed: int) -> dict[str, Any]:
    """Compare how likely models find the same queries.

    Args:
        found: for each model, in the order of comparison, the score of each query.

    Returns:
        ``models``: for each the mean negative log-likelihood in nats a token, the end of the turn
        included, with its 95 % bootstrap interval over sessions; ``gains``: for each but the
        first, how much lower it is than the one's before, paired, and in how many of the queries;
        ``queries`` and ``too_long``, what didn't fit a model.
    """
    ids = list(next(iter(found.values())))
    fitting = [id for id in ids if all(scores[id] for scores in found.values())]
    parts = {name: _surprise(scores, fitting) for name, scores in found.items()}
    gains = {}
    for first, second in pairwise(parts):
        above, below = parts[first], parts[second]
        lower = [a / n > b / m for a, n, b, m in zip(*above, *below, strict=True)]
        gains[f"{first} - {second}"] = {
            **asdict(IntervalEstimate(*ratio_difference(above, below, seed))),
            "lower_in": sum(lower),
        }
    return {
        "models": {
            name: {**asdict(IntervalEstimate(*ratio(*part, seed))), "tokens": int(sum(part[1]))}
            for name, part in parts.items()
        },
        "gains": gains,
        "queries": len(fitting),
        "too_long": len(ids) - len(fitting),
    }


def _surprise(scores: Scores, ids: Sequence[str]) -> tuple[list[float], list[float]]:
    """Sum of negative log-likelihoods and tokens of each query."""
    whole = [scores[id] for id in ids]
    first = [each[0] for each in whole if each]
    return [-total for total, _ in first], [float(count) for _, count in first]
