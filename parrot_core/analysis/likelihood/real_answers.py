"""How likely chat models find the answers of real, held-out sessions: what their data taught them.

No judge and no benchmark; the comparison of askers downstream (see ``deployments/ablations``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from parrot_core.analysis.likelihood.held_out_pairs import ModelName, learned_by
from parrot_core.analysis.likelihood.likelihoods import compare_likelihoods
from parrot_core.analysis.statistics.reading import HELDOUT, HUMAN, VersionSessions
from parrot_core.analysis.statistics.sampling import Draw, lot
from parrot_core.analysis.statistics.session import Session
from parrot_core.engines.types import Message
from parrot_core.errors import UserError
from parrot_core.execution.runs import work_folder
from parrot_core.lake.lake import Lake
from parrot_core.models.references import model_cache
from parrot_core.stages.likelihoods import LikelihoodRequest, Scorer, scores_of
from parrot_core.telemetry.progress import SILENT, ProgressReporter
from parrot_core.text.control_tokens import find_control_token
from parrot_core.text.text_table import Grid
from parrot_core.text.wording import with_bounds

GROUPS = ("all", "first turns", "later turns")


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """What to measure on."""

    sessions: int = 200
    answer_chars: int = 2000  # longer answers are left out
    max_length: int = 2048  # tokens of history and answer; older turns go first
    seed: int = 42


def measure_answers(
    lake: Lake,
    models: Sequence[ModelName],
    conversations: str,
    settings: AnswerSettings,
    reporter: ProgressReporter = SILENT,
) -> dict[str, Any]:
    """Compare models on one answer of each held-out session of a version of ``conversations``.

    Args:
        models: the first one is what the others are set against.

    Returns:
        JSON: ``groups`` (of :data:`GROUPS`, see :func:`compare_likelihoods`; models by name), with
        what was measured on.

    Raises:
        MissingVersion: a model, or what it was trained on, is not in the lake.
        UserError: no held-out session has an answer that fits.
    """
    folder = work_folder(lake, conversations) / "answers"
    folder.mkdir(parents=True, exist_ok=True)
    learned = frozenset[str]().union(
        *(learned_by(lake, model, folder).sessions for model in models)
    )
    heldout = VersionSessions(lake.dataset(HUMAN, conversations), HELDOUT)
    unseen = (each for each in heldout.sessions(lambda _: None) if each.id not in learned)
    asked = draw_answers(unseen, settings)
    if not asked:
        raise UserError(f"{HUMAN}@{conversations}: no held-out answer within the limits")
    copies = model_cache() / "lake"
    found = {
        str(model): scores_of(
            Scorer(str(model), lake.model(model.name, model.version).local_copy(copies)),
            asked,
            settings.max_length,
            folder,
            reporter,
        )
        for model in models
    }
    ids = [each.id for each in asked]
    first = [id for id in ids if id.endswith("/t1")]
    members = dict(zip(GROUPS, (ids, first, [id for id in ids if id not in first]), strict=True))
    return {
        "conversations": conversations,
        "models": [str(model) for model in models],
        "settings": asdict(settings),
        "groups": {
            group: compare_likelihoods(found, some, settings.seed)
            for group, some in members.items()
            if some
        },
    }


def draw_answers(sessions: Iterable[Session], settings: AnswerSettings) -> list[LikelihoodRequest]:
    """One answer of each session, with its history: that of the lowest lot among those that fit."""
    drawn: Draw[LikelihoodRequest] = Draw(settings.sessions, settings.seed, "answers")
    for session in sessions:
        turns = range(1, session.turns + 1)
        order = sorted(turns, key=lambda t: lot(settings.seed, "answer", f"{session.id}/t{t}"))
        for turn in order:
            text = session.responses[turn - 1].strip()
            query: Message = {"role": "user", "content": session.queries[turn - 1]}
            answer: Message = {"role": "assistant", "content": text}
            prompt = (*session.history(turn), query)
            if not 0 < len(text) <= settings.answer_chars or _has_control_tokens(*prompt, answer):
                continue
            asked = LikelihoodRequest(f"{session.id}/t{turn}", prompt, [[answer]])
            drawn.offer(session.whole, asked)
            break
    return drawn.items()


def _has_control_tokens(*messages: Message) -> bool:
    return any(find_control_token(message["content"]) for message in messages)


def answer_grid(result: dict[str, Any]) -> Grid:
    """The models' likelihoods side by side."""
    rows = []
    first, *others = result["models"]
    for group, found in result["groups"].items():
        values = (_shown(found["models"][name]) for name in result["models"])
        less = (_shown(found["less"][name]) for name in others)
        rows.append((group, str(found["queries"]), *values, *less))
    header = ("", "answers", *result["models"], *(f"{name} less {first}" for name in others))
    title = "Negative log-likelihood of real, held-out answers, nats a token"
    return Grid(title, header, tuple(rows))


def _shown(estimate: dict[str, Any]) -> str:
    return with_bounds(estimate["value"], estimate["low"], estimate["high"], 3)
