"""Spans of shards and requests, through OpenTelemetry's own SDK and its exporter in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from parrot_core.errors import PartiallyFailed
from parrot_core.execution.runs import begin_run
from parrot_core.stages.synthesis.stage import SynthesizeStage
from parrot_core.telemetry import tracing
from parrot_core.telemetry.execution_context import in_context
from parrot_core.telemetry.tracing import chosen, request_span, span
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SeedStage, drive, synthesis
from tests.support.servers.fake_api import Reply, serving


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What a process with a tracer provider exports; a process can set only one for good."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


def named(spans: InMemorySpanExporter, beginning: str) -> list[ReadableSpan]:
    return [each for each in spans.get_finished_spans() if each.name.startswith(beginning)]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def identity(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def test_requests_belong_to_their_shard_and_shards_to_their_stage(
    tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    def busy_once(number: int, body: dict[str, Any]) -> Reply:
        return Reply(status=429, headers={"retry-after-ms": "1"}) if number == 2 else Reply("yes")

    with serving(busy_once) as api:
        limits = {"concurrency": 4, "max_retries": 3, "max_pause_s": 60}
        engine = {"kind": "openai", "model": "m", "base_url": api.base_url, "api_key_env": None}
        engine |= {"limits": limits, "price": {"as_of": "2026-01-01"}}
        engine["price"] |= {"input_per_million": 1, "output_per_million": 1}  # type: ignore[operator]
        engines = dict.fromkeys(("asker", "answerer", "judge"), engine)
        run = synthesis(tmp_path, api.base_url, engines=engines, traces={"requests": 1.0})
        spans.clear()
        with in_context(run.name, "synthesize"), span("stage synthesize"):
            manifest = drive(run, SynthesizeStage())
    (stage,) = named(spans, "stage")
    shards, requests = named(spans, "synthesize"), named(spans, "chat m")
    assert [parent(each) for each in shards] == [identity(stage)] * 2
    assert {parent(each) for each in requests} == set(map(identity, shards))
    assert len(requests) == sum(used.requests for used in manifest.usage.values())
    told = [attributes(each) for each in requests]
    assert {each["parrot.session"] for each in told} == {f"s{n}" for n in range(12)}
    assert {each["parrot.shard"] for each in told} == {0, 1}
    assert {each["parrot.engine"] for each in told} == {"asker", "answerer"}
    assert sum(each["parrot.refusals"] for each in told) == 1
    tokens = sum(each["gen_ai.usage.output_tokens"] for each in told)
    assert tokens == sum(used.completion_tokens for used in manifest.usage.values())
    assert not any(each["parrot.replayed"] for each in told)
    rows = sum(attributes(each)["parrot.rows_in"] for each in shards)
    assert rows == manifest.accounting.rows_in
    assert all(each.status.status_code is StatusCode.OK for each in (stage, *shards, *requests))


def test_a_shard_that_fails_says_so_with_its_error_and_without_a_traceback(
    tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    stage = SeedStage(2)
    stage.failing = {1}
    with pytest.raises(PartiallyFailed):
        drive(begin_run(minimal_recipe(str(tmp_path))), stage)
    good, bad = named(spans, "seeds")
    assert good.status.status_code is StatusCode.OK
    assert bad.status.status_code is StatusCode.ERROR
    assert bad.status.description == "shard 1 can't be read"
    assert attributes(bad)["error.type"] == "StorageError"
    assert not bad.events


def test_only_chosen_sessions_have_spans_of_requests_and_then_of_all(
    tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    with serving() as api:
        run = synthesis(tmp_path, api.base_url, traces={"requests": 0.4})
        manifest = drive(run, SynthesizeStage())
    told = {str(attributes(each)["parrot.session"]) for each in named(spans, "chat")}
    expected = {f"s{n}" for n in range(12) if chosen(f"s{n}", 0.4)}
    assert told == expected
    assert 0 < len(expected) < 12
    assert len(named(spans, "chat")) < sum(used.requests for used in manifest.usage.values())


def test_the_share_of_sessions_chosen_is_the_one_asked_for() -> None:
    assert not any(chosen(f"s{n}", 0.0) for n in range(100))
    assert all(chosen(f"s{n}", 1.0) for n in range(100))
    assert 700 < sum(chosen(f"s{n}", 0.08) for n in range(10_000)) < 900


def test_without_a_provider_nothing_is_recorded() -> None:
    if tracing.tracing():
        pytest.skip("this process has a tracer provider")
    with span("nothing") as made, request_span("openai", "e", "m", 1.0) as asked:
        assert not made.is_recording()
        assert not asked.is_recording()
