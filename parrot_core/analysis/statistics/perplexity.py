"""Parrot-Ask's own perplexity: how surprised it is by human and by synthesized follow-ups."""

import tempfile
from pathlib import Path

from parrot_core.analysis.statistics.judge import draw_questions
from parrot_core.analysis.statistics.measures.measure import Ratio
from parrot_core.analysis.statistics.reading import SessionSet
from parrot_core.analysis.statistics.values import Figure, Found
from parrot_core.errors import UserError
from parrot_core.stages.likelihoods import LikelihoodRequest, Scorer, scores_of
from parrot_core.stages.training.bare_turn import bare_user_model
from parrot_core.telemetry.progress import SILENT, ProgressReporter
from parrot_core.text.control_tokens import find_control_token

QUERIES = 60
"""Follow-up queries of each side, unless told otherwise."""
MAX_LENGTH = 2048

DESCRIPTION = (
    "Mean negative log-likelihood, in nats a token, that the asker gives to follow-up queries with "
    f"their history ({QUERIES} drawn queries a side unless told otherwise; oldest turns are left "
    f"out beyond {MAX_LENGTH:,} tokens of history and query; the end of the turn counts). A set "
    "whose queries surprise the asker as much as human ones do is human-like in its eyes; samples "
    "at a low temperature surprise it less."
)


def asker_likeness(
    folder: Path,
    name: str,
    ours: SessionSet,
    human: SessionSet | None,
    seed: int,
    queries: int = QUERIES,
    reporter: ProgressReporter = SILENT,
) -> Found:
    """Score both sides under the asker.

    Args:
        name: what it is called, for the notes.
        human: held-out human sessions; None scores ours alone.
        reporter: is told of each query that was scored; one takes seconds on a CPU.

    Raises:
        UserError: transformers isn't installed, or the folder holds no model.
        ParrotError: the model couldn't be loaded or run.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no config.json; expected a model in Hugging Face's layout")
    sides = {"asker_nll": ("its queries", ours)}
    if human is not None:
        sides["asker_nll_human"] = ("human queries", human)
    figures: list[Figure] = []
    notes = [f"asker: {name}"]
    with tempfile.TemporaryDirectory() as made:
        # Any model can be asked for a user's turn; Parrot-Ask has this template already.
        scorer = Scorer("asker", bare_user_model(folder, Path(made) / "model"))
        for key, (whose, sessions) in sides.items():
            drawn = draw_questions(sessions, queries, seed).drawn
            asked = [
                LikelihoodRequest(each.id, each.history, [[{"role": "user", "content": text}]])
                for each in drawn
                if (text := each.query.strip())
                and not any(map(find_control_token, (text, *(m["content"] for m in each.history))))
            ]
            found = scores_of(scorer, asked, MAX_LENGTH, Path(made), reporter)
            ratio = Ratio()
            for total, tokens in (scored[0] for scored in found.values() if scored):
                ratio.add(-total, tokens)
            figures.append(ratio.figure(key, f"{whose} under the asker (nats)", seed, "tokens"))
            if skipped := len(drawn) - sum(map(bool, found.values())):
                notes.append(f"asker: {skipped} of {whose} left out: too long, or control tokens")
    return Found(figures=tuple(figures), notes=tuple(notes))
