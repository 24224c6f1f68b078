"""A published version for the terminal: its accounts, inputs, usage, what its metrics say."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from parrot_core.lake.manifest import EngineUsage, Manifest
from parrot_core.monitor.costs import cost_of
from parrot_core.monitor.stage_facts import rule_facts, training_facts
from parrot_core.monitor.state import StageState
from parrot_core.text.sanitise import one_line, sanitise
from parrot_core.text.wording import count, duration, figure, plural

_TOLD = ("curve", "heldout", "rules", "examples")
"""Metrics that are shown in words of their own."""


def render_version(
    manifest: Manifest, url: str, sample: Sequence[dict[str, Any]]
) -> RenderableType:
    """A version: its accounts, inputs, usage and metrics, and rows if there are any."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, text in _lines(manifest, url):
        facts.add_row(Text(one_line(name, 60)), Text(one_line(text, 600)))
    title = Text(f"{manifest.kind} {manifest.name}@{manifest.version}", "bold")
    rows = [
        Text(sanitise(json.dumps(row, ensure_ascii=False, indent=1, default=str))) for row in sample
    ]
    return Group(title, facts, *rows)


def _lines(manifest: Manifest, url: str) -> Iterator[tuple[str, str]]:
    accounts = manifest.accounting
    rejected = ", ".join(f"{why} {count(n)}" for why, n in accounts.rejected.items())
    megabytes = sum(entry.bytes for entry in manifest.files) / 1e6
    yield "folder", url
    yield "published", f"{manifest.created_at} by {manifest.stage} of run {manifest.run}"
    yield "files", f"{plural(len(manifest.files), 'file')}, {megabytes:,.1f} MB"
    if manifest.kind == "dataset" or accounts.rows_in:
        yield (
            "accounts",
            f"{plural(accounts.rows_in, accounts.unit)} in = {count(accounts.rows_out)} out + "
            f"{count(accounts.rows_rejected)} rejected" + (f" ({rejected})" if rejected else ""),
        )
    yield "inputs", ", ".join(f"{n}@{v}" for n, v in manifest.inputs.items()) or "none"
    yield "time", duration(manifest.seconds)
    yield "recipe", f"{manifest.fingerprint.recipe[:12]}, code {manifest.fingerprint.code}"
    for engine, used in manifest.usage.items():
        yield f"engine {engine}", _usage(engine, used, manifest)
    yield from _metrics(manifest)
    for warning in manifest.warnings:
        yield "warning", warning


def _usage(engine: str, used: EngineUsage, manifest: Manifest) -> str:
    model = used.model.rsplit("/", 1)[-1]
    took = f"{count(used.prompt_tokens)} + {count(used.completion_tokens)} tokens"
    cost = cost_of([(engine, used)], manifest.recipe)
    return f"{model}: {plural(used.requests, 'request')}, {took}, {cost}"


def _metrics(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What the metrics say: of a training, of cleaning rules, then all others."""
    stage = StageState(
        *(manifest.stage, manifest.name, manifest.kind, "done", manifest.version),
        metrics=manifest.metrics,
    )
    for name, before, after in training_facts(stage).pairs:
        if name != "tokens":
            yield f"held-out {name}", f"{figure(before)} → {figure(after)}"
    rules = list(rule_facts(stage))
    for fact in rules:
        shown = ""
        for example in fact.examples[:1]:
            shown = f", e.g. {one_line(example.before, 150)}"
            shown += f" → {one_line(example.after, 150)}" if example.after else ""
        yield f"rule {fact.rule}", f"{count(fact.count)} changed{shown}"
    for name, value in manifest.metrics.items():
        if name in ("curve", "heldout") or (rules and name in _TOLD):
            continue
        yield name.replace("_", " "), _value(value)


def _value(value: object) -> str:
    """A metric in short: mappings as names and values, else JSON."""
    if isinstance(value, dict) and all(not isinstance(v, list) for v in value.values()):
        return ", ".join(f"{name} {_value(item)}" for name, item in value.items() if item != {})
    if isinstance(value, float):
        return f"{value:,.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
