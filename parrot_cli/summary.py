"""What a run or a version came to, for the terminal: accounts, losses, scores, samples."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from parrot_core.analysis.results.findings import Findings, gather_more
from parrot_core.analysis.results.samples import PairGroup, Said, SampledDialogue
from parrot_core.analysis.results.scores import Scores, short_model
from parrot_core.lake.lake import Lake
from parrot_core.lake.manifest import Manifest
from parrot_core.monitor import RunState
from parrot_core.report.html_report import FIGURE_WORDS, STRATEGY_WORDS, TRAINING_WORDS
from parrot_core.text.sanitise import one_line, sanitise
from parrot_core.text.wording import count, dollars, duration, figure, plural

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


def render_version(
    manifest: Manifest, url: str, sample: Sequence[dict[str, Any]]
) -> RenderableType:
    """A version: its accounts, inputs, usage and metrics, and rows if there are any."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    accounts = manifest.accounting
    rejected = ", ".join(f"{why} {count(n)}" for why, n in accounts.rejected.items())
    megabytes = sum(entry.bytes for entry in manifest.files) / 1e6
    lines: list[tuple[str, str]] = [
        ("folder", url),
        ("published", f"{manifest.created_at} by {manifest.stage} of run {manifest.run}"),
        ("files", f"{plural(len(manifest.files), 'file')}, {megabytes:,.1f} MB"),
        (
            "accounts",
            f"{plural(accounts.rows_in, accounts.unit)} in = {count(accounts.rows_out)} out + "
            f"{count(accounts.rows_rejected)} rejected" + (f" ({rejected})" if rejected else ""),
        ),
        ("inputs", ", ".join(f"{n}@{v}" for n, v in manifest.inputs.items()) or "none"),
        ("time", duration(manifest.seconds)),
        ("recipe", f"{manifest.fingerprint.recipe[:12]}, code {manifest.fingerprint.code}"),
    ]
    for engine, used in manifest.usage.items():
        took = f"{count(used.prompt_tokens)} + {count(used.completion_tokens)} tokens"
        cost = f"{plural(used.requests, 'request')}, {took}, {dollars(used.usd)}"
        lines.append((f"engine {engine}", f"{short_model(used.model)}: {cost}"))
    for name, value in manifest.metrics.items():
        if name == "examples" and isinstance(value, dict):
            lines += _examples(value)
            continue
        lines.append((name, one_line(json.dumps(value, ensure_ascii=False), 240)))
    lines += [("warning", warning) for warning in manifest.warnings]
    for name, text in lines:
        facts.add_row(Text(one_line(name, 40)), Text(one_line(text, 600)))
    title = Text(f"{manifest.kind} {manifest.name}@{manifest.version}", "bold")
    rows = [
        Panel(Text(sanitise(json.dumps(row, ensure_ascii=False, indent=1, default=str))))
        for row in sample
    ]
    return Group(title, facts, *rows)


def _examples(by_rule: dict[str, Any]) -> list[tuple[str, str]]:
    """One line a cleaning rule: its first example, before and after."""
    lines: list[tuple[str, str]] = []
    for rule, examples in by_rule.items():
        for example in examples[:1]:
            before, after = (one_line(str(example.get(k, "")), 200) for k in ("before", "after"))
            lines.append((rule, f"{before} → {after}" if after else before))
    return lines


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
            subject.shown_mean,
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
