"""The held-out proof of a run's asker: against its base, a role play, and a bare user turn.

Sun et al. 2024, §1 and §3.1: a model trained on the users' turns asks as people do, in context; an
instruct model that is told to play the user asks self-contained questions. The third writer is the
same instruct model without the telling: its own template opens the user's turn. Measured on
sessions that no model under test has learned from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from parrot_core.analysis.asker_proof.contexts import (
    Bounds,
    Drawn,
    HeldOutContext,
    SessionEdges,
    draw_contexts,
    edges_of,
)
from parrot_core.analysis.asker_proof.diversity import diversity
from parrot_core.analysis.asker_proof.likelihoods import (
    by_group,
    endings,
    score_all,
    scored_writers,
)
from parrot_core.analysis.asker_proof.measures import (
    differences,
    estimates,
    look_at,
    nearer,
    refusals,
    told_apart,
)
from parrot_core.analysis.asker_proof.provocation import provoked, role_kept
from parrot_core.analysis.asker_proof.writing import STAGE, Writer, write
from parrot_core.analysis.likelihood.held_out_pairs import ModelName, learned_by
from parrot_core.analysis.statistics.reading import HELDOUT, HUMAN, VersionSessions, open_sessions
from parrot_core.engines.connection import model_identity
from parrot_core.engines.types import Message
from parrot_core.errors import UserError
from parrot_core.estimates import IntervalEstimate
from parrot_core.lake.metrics import TrainingMetrics
from parrot_core.lake.run import Run
from parrot_core.models.references import resolve_model
from parrot_core.recipe import VllmEngine
from parrot_core.stages.likelihoods import Scorer
from parrot_core.stages.training.bare_turn import bare_user_model
from parrot_core.telemetry.progress import SILENT, ProgressReporter
from parrot_core.text.control_tokens import END_OF_SESSION
from parrot_core.text.text_hash import text_hash

ASKER = "parrot-ask"
IN_DOMAIN = "held out"


@dataclass(frozen=True, slots=True)
class ProofSettings:
    """What to measure, and on how much."""

    bounds: Bounds
    instruct: str | None = None  # engine that plays the user; None: the recipe's answerer
    beside: tuple[str, ...] = ()  # other human sessions: out of domain
    resamples: int = 3  # texts of each writer in each context
    max_tokens: int = 96  # of a written query; the rest of the sampling is synthesize.ask
    max_length: int = 2048  # tokens of history and query when likelihoods are measured


@dataclass(frozen=True, slots=True)
class Domain:
    """Contexts of one kind, and human follow-ups of other sessions to hold people's against."""

    name: str
    drawn: Drawn
    contexts: tuple[HeldOutContext, ...]
    spare: tuple[HeldOutContext, ...]
    edges: Mapping[str, SessionEdges] = field(default_factory=dict)


def proof_file(run: str) -> str:
    """Where a run's newest proof is kept in the lake."""
    return f"runs/{run}/proof.json"


def prove(run: Run, settings: ProofSettings, reporter: ProgressReporter = SILENT) -> dict[str, Any]:
    """Measure a run's asker on held-out human sessions, and on others beside them.

    Returns:
        JSON: ``domains``, by name: ``contexts`` taken and ``left_out`` by reason, ``likelihood``
        (see :func:`by_group`), and what :func:`compared` gives; of the first domain ``ending``
        (:func:`endings`), ``role`` (:func:`role_kept`), ``diversity`` (:func:`diversity`) and
        ``told_apart`` with its controls. Differences are the asker's less each other writer's.

    Raises:
        MissingVersion: the run has no asker, or what it was trained on is gone.
        UserError: nothing was held out, or the recipe has no such engine.
        EngineError: an engine can't be reached, or the budget is reached.
    """
    writers = _writers(run, settings.instruct)
    sampling = run.recipe.synthesize.ask.model_copy(update={"max_tokens": settings.max_tokens})
    domains = [_held_out(run, settings.bounds), *_beside(run, settings)]
    conversations = run.lake.manifest("model", ASKER, run.version_of(ASKER)).inputs[HUMAN]
    found: dict[str, Any] = {
        "run": run.name,
        "writers": {each.name: model_identity(run, each.engine) for each in writers},
        "conversations": conversations,
        "seed": run.recipe.seed,
        "settings": asdict(settings) | {"sampling": sampling.model_dump(mode="json")},
    }
    folder = run.work_dir / STAGE
    wanted = _histories(domains, settings.resamples)
    written = {each.name: write(run, each, wanted, sampling, folder, reporter) for each in writers}
    found["domains"] = {
        domain.name: {
            "contexts": {
                "taken": len(domain.contexts),
                "sessions": domain.drawn.sessions,
                "left_out": domain.drawn.left_out,
            },
            **compared(run, domain.contexts, _texts(domain, written)),
        }
        for domain in domains
    }
    found |= _written_alone(run, domains[0], written, settings.resamples)
    for domain in domains:
        likelihood, ending = _likelihood(run, domain, writers, settings.max_length, reporter)
        found["domains"][domain.name]["likelihood"] = likelihood
        if domain.edges:
            found["ending"] = ending
    return found


def _writers(run: Run, instruct: str | None) -> list[Writer]:
    recipe = run.recipe
    name = instruct or recipe.synthesize.answerer
    if name not in recipe.engines:
        known = ", ".join(recipe.engines)
        raise UserError(f"--instruct {name}: the recipe has no such engine (engines: {known})")
    engine = recipe.engines[name]
    found = [
        Writer("asker", recipe.engines[recipe.synthesize.asker]),
        Writer("role_play", engine, plays=True),
    ]
    if isinstance(engine, VllmEngine):  # whose template can be opened for the user
        model = resolve_model(engine.model, run)
        folder = run.work_dir / STAGE / f"bare-{text_hash(str(model)):016x}"
        bare = bare_user_model(model, folder).resolve()
        found.append(Writer("bare", engine.model_copy(update={"model": str(bare)})))
    return found


def _held_out(run: Run, bounds: Bounds) -> Domain:
    model = ModelName(ASKER, run.version_of(ASKER))
    version = run.lake.manifest("model", model.name, model.version).inputs.get(HUMAN)
    if version is None:
        raise UserError(f"{model.name}@{model.version} was not trained here: nothing was held out")
    folder = run.work_dir / STAGE
    folder.mkdir(parents=True, exist_ok=True)
    learned = learned_by(run.lake, model, folder).sessions
    dataset = run.lake.dataset(HUMAN, version)
    sessions = VersionSessions(dataset, HELDOUT).sessions(lambda _: None)
    twice = Bounds(2 * bounds.contexts, bounds.history_chars, bounds.query_chars)
    drawn = draw_contexts(sessions, learned, twice, run.recipe.seed)
    taken, spare = _divided(drawn, bounds)
    if not taken:
        why = ", ".join(f"{n} {reason}" for reason, n in drawn.left_out.items()) or "none held out"
        raise UserError(f"{HUMAN}@{version}: no held-out context ({why})")
    columns = ["id", "messages", "opens_session", "ends_session"]
    return Domain(IN_DOMAIN, drawn, taken, spare, edges_of(dataset.rows(columns), taken, bounds))


def _divided(
    drawn: Drawn, bounds: Bounds
) -> tuple[tuple[HeldOutContext, ...], tuple[HeldOutContext, ...]]:
    """The contexts to go on from, and as many others, if there are so many."""
    taken = drawn.contexts[: bounds.contexts]
    return taken, drawn.contexts[bounds.contexts :]


def _beside(run: Run, settings: ProofSettings) -> list[Domain]:
    found = []
    for url in settings.beside:
        sessions = open_sessions(run.lake, url)
        drawn = draw_contexts(
            sessions.sessions(lambda _: None), (), settings.bounds, run.recipe.seed
        )
        if not drawn.contexts:
            raise UserError(f"--beside {url}: no session gives a context ({drawn.left_out})")
        found.append(Domain(sessions.label.rpartition("/")[2], drawn, drawn.contexts, ()))
    return found


def _histories(domains: Sequence[Domain], resamples: int) -> dict[str, Sequence[Message]]:
    """What the writers go on from: each context several times and once provoked, others once."""
    found: dict[str, Sequence[Message]] = {}
    for place, domain in enumerate(domains):
        for context in domain.contexts:
            for number in range(1, resamples + 1 if not place else 2):
                found[_sample(context, number)] = context.history
    first = domains[0].contexts
    for context, history in zip(first, provoked(first), strict=True):
        found[_sample(context, 0)] = history
    return found


def _sample(context: HeldOutContext, number: int) -> str:
    return f"{context.id}/{STAGE}/{number or 'provoked'}"


def _said(context: HeldOutContext, number: int, written: Mapping[str, str]) -> str:
    """A written text; empty where the writer ended the session instead."""
    text = written[_sample(context, number)]
    return "" if text == END_OF_SESSION else text


def _texts(domain: Domain, written: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    texts = {
        who: [_said(context, 1, texts) for context in domain.contexts]
        for who, texts in written.items()
    }
    return {"human": [context.query for context in domain.contexts], **texts}


def compared(
    run: Run, contexts: Sequence[HeldOutContext], texts: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """What people's and the writers' queries are like, and how the asker's differ, as JSON.

    Returns:
        ``follow_ups`` by writer and measure; the asker's ``differences`` to each other, paired;
        ``nearer``: its distance from the human's less the other's; ``refused`` by writer and
        filter rule; ``queries``: what each wrote.
    """
    seed = run.recipe.seed
    looks = {
        who: [look_at(c, text, run.recipe.filter) for c, text in zip(contexts, said, strict=True)]
        for who, said in texts.items()
    }
    human, asker = looks["human"], looks["asker"]
    others = {who: seen for who, seen in looks.items() if who not in ("human", "asker")}
    return {
        "follow_ups": {who: _json(estimates(seen, seed)) for who, seen in looks.items()},
        "differences": {
            who: _json(differences(asker, seen, seed))
            for who, seen in looks.items()
            if who != "asker"
        },
        "nearer": {who: _json(nearer(asker, seen, human, seed)) for who, seen in others.items()},
        "refused": {who: refusals(seen) for who, seen in looks.items()},
        "queries": [
            {"id": context.id} | {who: said[place] for who, said in texts.items()}
            for place, context in enumerate(contexts)
        ],
    }


def _json(found: Mapping[str, IntervalEstimate]) -> dict[str, Any]:
    return {name: asdict(estimate) for name, estimate in found.items()}


def _written_alone(
    run: Run, domain: Domain, written: Mapping[str, Mapping[str, str]], resamples: int
) -> dict[str, Any]:
    """Role, diversity and the classifier: what takes more than one text a context."""
    seed, contexts = run.recipe.seed, domain.contexts
    numbers = range(1, resamples + 1)
    samples = {
        who: [[_said(context, number, texts) for number in numbers] for context in contexts]
        for who, texts in written.items()
    }
    under = {who: [_said(c, 0, texts) for c in contexts] for who, texts in written.items()}
    people = [(context.session, context.query) for context in contexts]
    sides = {
        who: ([(c.session, each[0]) for c, each in zip(contexts, said, strict=True)], people)
        for who, said in samples.items()
    }
    sides["people"] = ([(c.session, c.query) for c in domain.spare], people)
    if resamples > 1:
        for who, said in samples.items():
            pairs = list(zip(contexts, said, strict=True))
            first, second = ([(c.session, each[n]) for c, each in pairs] for n in (0, 1))
            sides[f"{who}, two samples"] = (first, second)
    apart, notes = {}, []
    for name, (ours, theirs) in sides.items():
        figure, more = told_apart(ours, theirs, seed)
        apart[name] = figure.model_dump(mode="json")
        notes += [f"{name}: {note}" for note in more]
    return {
        "role": role_kept(contexts, under, run.recipe.filter, seed),
        "diversity": diversity(samples, [context.query for context in contexts], seed),
        "told_apart": apart,
        "ended": {
            who: sum(not each[0] for each in said) / len(said) for who, said in samples.items()
        },
        "notes": notes,
    }


def _likelihood(
    run: Run,
    domain: Domain,
    writers: Sequence[Writer],
    max_length: int,
    reporter: ProgressReporter,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """How likely people's turns are to each model, and what each says of where they stopped."""
    manifest = run.lake.manifest("model", ASKER, run.version_of(ASKER))
    asker = resolve_model(f"lake:{ASKER}@{manifest.version}", run)
    assert not isinstance(asker, str)
    base_model = TrainingMetrics.read(manifest.metrics).base or ""
    base = Scorer("base", resolve_model(base_model, run), asker)
    # The base is asked with the asker's template: what the training began from.
    engines = {each.name: each.engine for each in writers}
    player, bare = engines["role_play"], engines.get("bare")
    played = bared = None
    if isinstance(player, VllmEngine) and isinstance(bare, VllmEngine):
        model = resolve_model(player.model, run)
        played = Scorer("role-play", model)
        bared = Scorer("bare", model, Path(bare.model))
    scored = scored_writers(base, Scorer("asker", asker), played, bared)
    folder = run.work_dir / STAGE
    scores = score_all(scored, domain.contexts, domain.edges, max_length, folder, reporter)
    seed = run.recipe.seed
    ending = endings(scores, domain.contexts, domain.edges, seed) if domain.edges else {}
    return by_group(scores, domain.contexts, seed), ending
