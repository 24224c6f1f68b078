"""The last screen of a run: what came out, where it is, what to do next."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from parrot_cli.tables import Column, FittedTable
from parrot_core.analysis.results.findings import Findings, gather_more
from parrot_core.analysis.results.samples import SampledDialogue
from parrot_core.lake.lake import Lake
from parrot_core.monitor import RunState, StageState
from parrot_core.monitor.costs import cost_of_run
from parrot_core.monitor.stage_facts import TrainingFacts
from parrot_core.report.html_report import FIGURE_WORDS, TRAINING_WORDS
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import count, duration, figure, plural, short_count

ON_THE_WAY = ("records", "dialogues", "context-queries")
"""Datasets that others of the run are made of; the report has them all."""
MESSAGES_SHOWN = 4
WARNINGS_SHOWN = 3
WIDEST = 100


def render_summary(console: Console, lake: Lake, state: RunState, report: str) -> None:
    """Print what a run came to, with one dialogue, and the commands that go on from it."""
    found = gather_more(lake, state, dialogues=1)
    took = f"{duration(state.seconds)} · {short_count(state.tokens)} tokens · {cost_of_run(state)}"
    console.print()
    console.print(Text.assemble((f"Run {state.name}: {state.status_text}", "bold"), f" · {took}"))
    table = FittedTable([Column("version"), Column("what came out", prose=True)])
    for stage in state.stages:
        if stage.published and stage.output not in ON_THE_WAY and (what := _made(found, stage)):
            table.add(Text(f"{stage.output}@{stage.version}", "cyan"), what)
    console.print(table)
    missing = [s.name for s in state.own_stages if not s.published]
    if missing:
        console.print(Text(f"not made: {', '.join(missing)}", "yellow"))
    if found.scores is not None and found.scores.note:
        console.print(Text(one_line(found.scores.note, 600), "yellow"))
    for dialogue in found.dialogues:
        _print_dialogue(console, dialogue)
    _print_warnings(console, found)
    _print_next(console, lake, state, report)


def _made(found: Findings, stage: StageState) -> str:
    """What a stage's version holds, in one line."""
    if stage.kind == "model":
        facts = next((each for each in found.trainings if each.stage.name == stage.name), None)
        return _training(stage, facts)
    what = plural(stage.rows_out, stage.unit or "row")
    if stage.output == "parrot":
        turns = found.turns.get("parrot")
        what = plural(stage.rows_out, "dialogue") + (f", {count(turns)} turns" if turns else "")
    if stage.output == "preferences":
        parts = ", ".join(
            f"{count(n)} {one_line(name, 40)}" for name, n in found.strategies.items()
        )
        what = plural(stage.rows_out, "preference pair") + (f": {parts}" if parts else "")
    if stage.output == "judgments" and found.scores is not None:
        means = (f"{one_line(s.subject, 40)} {s.shown_mean}" for s in found.scores.subjects)
        what = f"{', '.join(means)} of 10, {count(stage.rows_out)} answers"
    if not stage.rows_out and not stage.rejects:
        return ""
    return f"{what}; {count(stage.rejects)} rejected" if stage.rejects else what


def _training(stage: StageState, facts: TrainingFacts | None) -> str:
    title = TRAINING_WORDS.get(stage.name, (stage.output, ""))[0]
    if facts is None:
        return title
    pairs = ", ".join(
        f"{FIGURE_WORDS.get(name, name.replace('_', ' '))} {figure(before)} → {figure(after)}"
        for name, before, after in facts.pairs
        if name in FIGURE_WORDS
    )
    return f"{title}, held out: {pairs}" if pairs else title


def _print_dialogue(console: Console, dialogue: SampledDialogue) -> None:
    width = min(console.width, WIDEST)
    head = f"A dialogue of {plural(dialogue.n_turns, 'turn')} ({one_line(dialogue.id, 60)}):"
    console.print(Text(head, "bold"))
    for said in dialogue.messages[:MESSAGES_SHOWN]:
        label = f"  {one_line(said.role, 20)}: "
        style = "cyan" if said.role == "user" else "green"
        text = one_line(said.content, max(20, width - len(label) - 1))
        console.print(Text.assemble((label, style), text), soft_wrap=True)


def _print_warnings(console: Console, found: Findings) -> None:
    for stage, warning in found.warnings[:WARNINGS_SHOWN]:
        console.print(Text(f"{stage}: {one_line(warning, 300)}", "yellow"))
    more = len(found.warnings) - WARNINGS_SHOWN
    if more > 0:
        console.print(Text(f"and {plural(more, 'more warning')}: see the report", "yellow"))


def _print_next(console: Console, lake: Lake, state: RunState, report: str) -> None:
    console.print(Text.assemble(("Lake:   ", "bold"), one_line(lake.url, 2000)), soft_wrap=True)
    console.print(Text.assemble(("Report: ", "bold"), one_line(report, 2000)), soft_wrap=True)
    for what, command in _next_steps(state):
        console.print(Text.assemble((f"{what}: ", "bold"), command), soft_wrap=True)


def _next_steps(state: RunState) -> Iterator[tuple[str, str]]:
    yield "Read it", "parrot dashboard --open"
    if state.name == "demo":
        yield "Your data", "parrot init --from data-only --source YOUR_CHATS.jsonl"
        yield "The real run", "parrot plan paper"
    elif state.until:
        yield "Go on", f"parrot retry {state.name} --rest"
