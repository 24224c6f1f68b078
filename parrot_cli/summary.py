"""What a run or a version came to, for the terminal: accounts, losses, scores, samples."""

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from parrot_core.analysis.results.findings import Findings, gather_more
from parrot_core.analysis.results.samples import PairGroup, Said, SampledDialogue
from parrot_core.analysis.results.scores import Scores
from parrot_core.lake.lake import Lake
from parrot_core.monitor import RunState
from parrot_core.report.html_report import FIGURE_WORDS, STRATEGY_WORDS, TRAINING_WORDS
from parrot_core.text.sanitise import one_line, sanitise
from parrot_core.text.wording import count, figure, plural

MESSAGE_CHARS = 400
"""Characters shown of one message."""


def render_summary(console: Console, lake: Lake, state: RunState, report: str) -> None:
    """Print what a run came to: figures, two dialogues, one pair, where the report is."""
    found = gather_more(lake, state, dialogues=2)
    console.print()
    console.print(Rule(Text(f"Run {state.name}: {state.status_text}", "bold"), align="left"))
    console.print(_stages(found))
    for part in (_rejects(found), _trainings(found), _strategies(found), _scores(found.scores)):
        if part is not None:
            console.print(part)
    for dialogue in found.dialogues:
        console.print(_dialogue(dialogue))
    if found.pair is not None:
        console.print(_pair(found.pair))
    for stage, warning in found.warnings:
        console.print(Text(f"{stage}: {one_line(warning, 300)}", "yellow"))
    console.print(Text.assemble("Report: ", (one_line(report, 2000), "bold")), soft_wrap=True)


def _stages(found: Findings) -> Table:
    table = Table(pad_edge=False, box=None, header_style="dim")
    table.add_column("stage", no_wrap=True)
    for name in ("in", "out"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("makes", no_wrap=True)
    for name in ("turns", "rejected", "seconds", "tokens"):
        table.add_column(name, justify="right", no_wrap=True)
    for stage in found.state.stages:
        model = stage.kind == "model"
        counted = stage.published and stage.counted
        turns = found.turns.get(stage.output)
        table.add_row(
            stage.name,
            count(stage.rows_in) if counted else "",
            count(stage.rows_out) if counted and not model else "",
            stage.output if stage.published else stage.status,
            count(turns) if turns is not None else "",
            count(stage.rejects) if stage.rejects else "",
            f"{stage.seconds:,.1f}" if stage.seconds else "",
            count(stage.tokens) if stage.tokens else "",
        )
    state = found.state
    table.add_row(
        "", "", "", "", "", "", f"{state.seconds:,.1f}", count(state.tokens), style="bold"
    )
    return table


def _rejects(found: Findings) -> RenderableType | None:
    table = Table("rejected by", "reason", "", pad_edge=False, box=None, header_style="dim")
    for stage in found.state.stages:
        for position, (reason, number) in enumerate(stage.rejected.items()):
            table.add_row("" if position else stage.name, one_line(reason, 40), count(number))
    return Padding(table, (1, 0, 0, 0)) if table.row_count else None


def _trainings(found: Findings) -> RenderableType | None:
    table = Table("held out", "", "before", "after", pad_edge=False, box=None, header_style="dim")
    for facts in found.trainings:
        title = TRAINING_WORDS.get(facts.stage.name, (facts.stage.output, ""))[0]
        for name, before, after in facts.pairs:
            if name != "tokens":
                word = Text(FIGURE_WORDS.get(name, one_line(name, 40)))
                table.add_row(title, word, figure(before), f"→ {figure(after)}")
    return Padding(table, (1, 0, 0, 0)) if table.row_count else None


def _strategies(found: Findings) -> RenderableType | None:
    if not found.strategies:
        return None
    parts = ", ".join(f"{count(n)} {one_line(name, 40)}" for name, n in found.strategies.items())
    total = plural(sum(found.strategies.values()), "preference pair")
    return Padding(Text(f"{total}: {parts}"), (1, 0, 0, 0))


def _scores(scores: Scores | None) -> RenderableType | None:
    if scores is None:
        return None
    table = Table(
        "score of 10", "mean", "95 %", "answers", pad_edge=False, box=None, header_style="dim"
    )
    for turn in scores.turns:
        table.add_column(f"turn {turn}", justify="right")
    for subject in scores.subjects:
        turns = [subject.by_turn.get(turn) for turn in scores.turns]
        table.add_row(
            Text(one_line(subject.subject, 40)),
            f"{subject.overall.mean:.2f}",
            _interval(subject.overall.low, subject.overall.high),
            count(subject.overall.n),
            *(f"{mean.mean:.2f}" if mean else "-" for mean in turns),
        )
    note = Text(one_line(scores.note, 600), "yellow")
    return Padding(Group(table, note) if scores.note else table, (1, 0, 0, 0))


def _interval(low: float | None, high: float | None) -> str:
    return f"{low:.2f} to {high:.2f}" if low is not None and high is not None else "-"


def _dialogue(dialogue: SampledDialogue) -> RenderableType:
    lines = [_said(said, "a human") for said in dialogue.messages]
    title = f"a dialogue, {plural(dialogue.n_turns, 'turn')} · {one_line(dialogue.id, 60)}"
    return Panel(Group(*lines), title=Text(title), title_align="left", border_style="dim")


def _said(said: Said, human: str) -> Text:
    style = "cyan" if said.role == "user" else "green"
    author = one_line(said.engine, 40) or human
    head = Text(f"{one_line(said.role, 20)} ({author}): ", f"bold {style}")
    return head.append(Text(sanitise(said.content, MESSAGE_CHARS), "not bold default"))


def _pair(pair: PairGroup) -> RenderableType:
    label = "bold"
    lines = [
        Text.assemble((f"{one_line(said.role, 20)}: ", "dim"), sanitise(said.content, 200))
        for said in pair.history[-2:]
    ]
    lines.append(Text.assemble(("query: ", "bold cyan"), sanitise(pair.query, MESSAGE_CHARS)))
    lines.append(Text.assemble(("chosen: ", "bold green"), sanitise(pair.chosen, MESSAGE_CHARS)))
    for negative in pair.negatives:
        words = STRATEGY_WORDS.get(negative.strategy, (negative.strategy, "", "Evidence"))
        lines.append(
            Text.assemble(
                (f"rejected, {one_line(words[0], 40).lower()}: ", "bold red"),
                sanitise(negative.answer, MESSAGE_CHARS),
            )
        )
        if negative.evidence:
            said = sanitise(negative.evidence, 200)
            lines.append(Text.assemble((f"  {words[2].lower()}: ", label), (said, "dim")))
    title = f"a preference pair, turn {pair.turn}, {plural(len(pair.negatives), 'negative')}"
    return Panel(Group(*lines), title=Text(title), title_align="left", border_style="dim")
