"""The report of a run as Markdown: accounts, trainings, scores, win rates, cost, warnings.

For what shows Markdown and no pages: an artifact, a pull request, a terminal. Text that a model
or a stranger wrote is sanitised and escaped, so that it can neither format nor link.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from parrot_core.analysis.results.cost import by_engine
from parrot_core.analysis.results.findings import Findings, gather
from parrot_core.analysis.results.win_rates import win_rates
from parrot_core.lake.lake import Lake
from parrot_core.monitor import StageSpec
from parrot_core.report.evaluation_page import shown_sessions, signed_interval
from parrot_core.report.html_report import TRAINING_WORDS, environment
from parrot_core.report.pairs_table import NOTE, pairs_grid
from parrot_core.text.sanitise import one_line

LISTED = 50
"""Most failures or warnings that are listed; the HTML report has all."""

_MEANT = re.compile(r"[\\`*_\[\]<>#|~$&@]|:(?=//)|(?<=www)\.|^[-+=]", re.IGNORECASE)
"""Marks that format, link or begin a list; numbers that begin one are escaped in ``plain``."""


def build_markdown(
    lake: Lake, run: str, stages: Iterable[StageSpec], now: datetime | None = None
) -> str:
    """Read a run from the lake and render its report; see ``report.build_report``.

    Raises:
        MissingRun: the lake holds no run of this name.
    """
    return render_markdown(gather(lake, run, stages, now or datetime.now(UTC)))


def render_markdown(found: Findings) -> str:
    """Render what was found; a part without facts is left out."""
    state = found.state
    page = environment().overlay(autoescape=False)  # its own texts go through ``plain``
    page.filters = {**page.filters, "plain": plain}
    text = page.get_template("report.md.j2").render(
        state=state,
        failures=[
            f"{stage.name}, shard {shard.index}, attempt {shard.attempts}: "
            f"{plain(shard.last_error.error_type, 80)}: {plain(shard.last_error.message, 400)}"
            for stage in state.stages
            for shard in stage.having("failed")
            if shard.last_error
        ],
        accounts=[stage for stage in state.stages if stage.published and stage.counted],
        trained=[
            (TRAINING_WORDS.get(facts.stage.name, (facts.stage.output, ""))[0], *pair)
            for facts in found.trainings
            for pair in facts.pairs
            if pair[0] != "tokens"
        ],
        scores=found.scores,
        sessions=shown_sessions(state),
        signed=signed_interval,
        rates=win_rates(state.making("comparisons")),
        pairs=pairs_grid(state.making("preferences")),
        NOTE=NOTE,
        engines=by_engine(state),
        rejects=[
            (stage.name, reason, n)
            for stage in state.stages
            for reason, n in sorted(stage.rejected.items(), key=lambda item: -item[1])
            if n
        ],
        warnings=[f"{plain(stage, 40)}: {plain(text, 400)}" for stage, text in found.warnings],
        LISTED=LISTED,
    )
    return text.rstrip() + "\n"


def plain(text: object, limit: int = 200) -> str:
    """One line of text in which Markdown and HTML see nothing but text."""
    escaped = _MEANT.sub(r"\\\g<0>", one_line(text, limit))
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", escaped)
