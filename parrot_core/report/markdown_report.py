"""The report of a run as Markdown: accounts, trainings, scores, win rates, cost, warnings.

For what shows Markdown and no pages: an artifact, a pull request, a terminal. Text that a model
or a stranger wrote is sanitised and escaped, so that it can neither format nor link.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from parrot_core.analysis.results.cost import by_engine
from parrot_core.analysis.results.findings import Findings, gather
from parrot_core.analysis.results.scores import short_model
from parrot_core.analysis.results.win_rates import win_rates
from parrot_core.lake.lake import Lake
from parrot_core.monitor import StageSpec
from parrot_core.monitor.costs import cost_of, cost_of_run
from parrot_core.report.evaluation_page import interval, shown_sessions, signed_interval
from parrot_core.report.html_report import FIGURE_WORDS, TRAINING_WORDS
from parrot_core.report.pairs_table import NOTE, pairs_grid
from parrot_core.stages.reasons import REASONS
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import count, duration, figure

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
    facts = [
        f"Status **{state.status_text}**",
        f"{duration(state.seconds)} of work",
        f"{count(state.tokens)} tokens",
        cost_of_run(state),
        f"seed {state.header.seed}",
        f"recipe `{state.header.fingerprint[:12] or 'unknown'}`",
    ]
    parts = [f"# Run {plain(state.name, 80)}"]
    if state.header.description:
        parts.append(plain(state.header.description, 300))
    parts.append(" · ".join(facts))
    sections = (
        _failures,
        _accounts,
        _trainings,
        _scores,
        _sessions,
        _win_rates,
        _pairs,
        _cost,
        _rejects,
        _warnings,
    )
    for section in sections:
        parts += section(found)
    return "\n\n".join(parts) + "\n"


def plain(text: object, limit: int = 200) -> str:
    """One line of text in which Markdown and HTML see nothing but text."""
    escaped = _MEANT.sub(r"\\\g<0>", one_line(text, limit))
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", escaped)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int] = (0,)) -> str:
    """A table whose cells are Markdown; columns other than those of ``words`` are set right."""
    rule = ["---" if place in words else "---:" for place in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _failures(found: Findings) -> Iterator[str]:
    lines = [
        f"- {stage.name}, shard {shard.index}, attempt {shard.attempts}: "
        f"{plain(shard.last_error.error_type, 80)}: {plain(shard.last_error.message, 400)}"
        for stage in found.state.stages
        for shard in stage.having("failed")
        if shard.last_error
    ]
    if lines:
        yield "## Failed shards"
        yield _list(lines)


def _accounts(found: Findings) -> Iterator[str]:
    rows = [
        (
            f"{stage.name} (from {plain(stage.version, 60)})"
            if stage.status == "pinned"
            else stage.name,
            count(stage.rows_in),
            count(stage.rows_out),
            count(stage.rejects),
            "yes" if stage.balance == 0 else f"**no: off by {count(stage.balance)}**",
        )
        for stage in found.state.stages
        if stage.published and stage.counted
    ]
    if rows:
        yield "## Accounts"
        yield table(("Stage", "In", "Out", "Rejected", "Closes"), rows)


def _trainings(found: Findings) -> Iterator[str]:
    rows = [
        (
            TRAINING_WORDS.get(facts.stage.name, (facts.stage.output, ""))[0],
            FIGURE_WORDS.get(name, plain(name, 40)),
            figure(before),
            figure(after),
        )
        for facts in found.trainings
        for name, before, after in facts.pairs
        if name != "tokens"
    ]
    if rows:
        yield "## Trainings"
        yield table(("Model", "Held out", "Before", "After"), rows)


def _scores(found: Findings) -> Iterator[str]:
    scores = found.scores
    if scores is None:
        return
    yield "## Scores"
    yield f"Of 10, by {plain(short_model(scores.judge), 100)}. {plain(scores.note, 600)}".strip()
    header = ("Subject", "Mean", "95 %", "Answers", *(f"Turn {turn}" for turn in scores.turns))
    yield table(
        header,
        (
            (
                plain(s.subject, 60),
                s.shown_mean,
                interval(s.overall),
                count(s.overall.n),
                *(f"{s.by_turn[t].mean:.2f}" if t in s.by_turn else "-" for t in scores.turns),
            )
            for s in scores.subjects
        ),
    )


def _sessions(found: Findings) -> Iterator[str]:
    figures = shown_sessions(found.state)
    if not figures:
        return
    yield "## Sessions"
    yield (
        "Each session as often as it was held: its mean, its best and its worst; its weakest turn; "
        "and how much an answer in conversation scores above the same question in one message."
    )
    header = ("Subject", "Held", "Mean", "Best", "Worst", "Best less worst", "95 %")
    more = ("Weakest turn", "Single turn", "In conversation less single turn", "95 %")
    yield table(
        (*header, *more),
        (
            (
                plain(each.subject, 60),
                count(each.repeats),
                *(f"{e.mean:.2f}" for e in (each.mean, each.best, each.worst, each.gap)),
                interval(each.gap),
                f"{each.lowest_turn.mean:.2f}",
                f"{each.single_turn.mean:.2f}" if each.single_turn else "-",
                f"{each.difference.mean:+.2f}" if each.difference else "-",
                signed_interval(each.difference) if each.difference else "-",
            )
            for each in figures
        ),
    )


def _win_rates(found: Findings) -> Iterator[str]:
    rates = win_rates(found.state.making("comparisons"))
    if rates is None:
        return
    yield f"## Win rates against {plain(rates.baseline, 60)}"
    rows = []
    for subject in rates.subjects:
        ended = rates.outcomes[subject.subject]
        counts = (count(ended.won), count(ended.tied), count(ended.lost))
        mean = f"{subject.overall.mean:.2f}"
        rows.append((plain(subject.subject, 60), mean, interval(subject.overall), *counts))
    yield table(("Subject", "Win rate", "95 %", "Won", "Tied", "Lost"), rows)


def _pairs(found: Findings) -> Iterator[str]:
    grid = pairs_grid(found.state.making("preferences"))
    if grid is None:
        return
    yield f"## {grid.title}"
    yield NOTE
    yield table(grid.header, ((plain(row[0], 40), *row[1:]) for row in grid.rows))


def _cost(found: Findings) -> Iterator[str]:
    state = found.state
    rows = [
        (
            f"{stage.name}: {plain(engine, 60)}",
            count(used.requests),
            count(used.prompt_tokens),
            count(used.completion_tokens),
            cost_of([(engine, used)], state.header.recipe),
        )
        for stage in state.own_stages
        for engine, used in stage.usage.items()
    ]
    if not rows:
        return
    rows += [
        (
            f"**all: {plain(engine, 60)}**",
            count(used.requests),
            count(used.prompt_tokens),
            count(used.completion_tokens),
            cost_of([(engine, used)], state.header.recipe),
        )
        for engine, used in by_engine(state).items()
    ]
    yield "## Cost"
    yield table(
        ("Stage and engine", "Requests", "Prompt tokens", "Completion tokens", "Cost"), rows
    )


def _rejects(found: Findings) -> Iterator[str]:
    rows = [
        (stage.name, f"`{reason}`" if reason in REASONS else plain(reason, 60), count(n))
        for stage in found.state.stages
        for reason, n in sorted(stage.rejected.items(), key=lambda item: -item[1])
        if n
    ]
    if rows:
        yield "## Rejects"
        yield table(("Stage", "Reason", "Units"), rows, words=(0, 1))


def _warnings(found: Findings) -> Iterator[str]:
    lines = [f"- {plain(stage, 40)}: {plain(text, 400)}" for stage, text in found.warnings]
    if lines:
        yield "## Warnings"
        yield _list(lines)


def _list(lines: Sequence[str]) -> str:
    more = [f"- … and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return "\n".join([*lines[:LISTED], *more])
