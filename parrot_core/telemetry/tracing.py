"""OpenTelemetry spans of a run, its stages, shards and requests, where a recipe asks for them.

Without a tracer provider in the process nothing is made. Names and units of requests follow
OpenTelemetry's conventions for generative AI.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from parrot_core.errors import UserError
from parrot_core.recipe import Traces
from parrot_core.telemetry.execution_context import current_context
from parrot_core.version import __version__

Value = str | int | float | bool

_INNERMOST: ContextVar[Span | None] = ContextVar("parrot_span", default=None)
"""The span that this code is in, of ours: Prefect puts its own between a stage and its shards."""


def tracing() -> bool:
    """Whether spans go anywhere in this process."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def start_tracing(traces: Traces | None) -> None:
    """Send spans by OTLP over HTTP from now on, to where OpenTelemetry's variables say.

    A process that has a tracer provider, such as one under ``opentelemetry-instrument``, keeps it.

    Raises:
        UserError: OpenTelemetry's SDK isn't installed.
    """
    if traces is None or tracing():
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise UserError(
            f"traces: {error.name} isn't installed: pip install 'parrot-factory[otel]', or take "
            "`traces` out of the recipe"
        ) from None
    service = os.environ.get("OTEL_SERVICE_NAME") or "parrot-factory"
    about = {"service.name": service, "service.version": __version__}
    provider = TracerProvider(resource=Resource.create(about))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)  # it sends what is left when the process ends


@contextmanager
def span(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
) -> Iterator[Span]:
    """A span about ``current_context()`` until the block ends; it fails as the block does.

    It belongs to the innermost span of ours, or else to whatever this process is in, which on a
    Prefect worker is the flow run that asked for this one.
    """
    if not tracing():
        yield trace.INVALID_SPAN
        return
    outer = _INNERMOST.get()
    place = {f"parrot.{key}": value for key, value in current_context().fields().items()}
    made = trace.get_tracer("parrot_factory", __version__).start_span(
        name,
        trace.set_span_in_context(outer) if outer is not None else None,
        kind,
        {**place, **(attributes or {})},
    )
    token = _INNERMOST.set(made)
    try:
        with trace.use_span(made, record_exception=False, set_status_on_exception=False):
            yield made
        made.set_status(StatusCode.OK)
    except BaseException as error:
        made.set_attribute("error.type", type(error).__name__)
        made.set_status(Status(StatusCode.ERROR, str(error)))
        raise
    finally:
        _INNERMOST.reset(token)
        made.end()


@contextmanager
def request_span(system: str, engine: str, model: str, share: float) -> Iterator[Span]:
    """The span of one completion for the session in work, if it is among those chosen.

    Args:
        system: what speaks: ``openai`` or ``vllm``.
        share: of sessions that are chosen.
    """
    if not (chosen(current_context().session, share) and tracing()):
        yield trace.INVALID_SPAN
        return
    asked = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": system,
        "gen_ai.request.model": model,
        "parrot.engine": engine,
    }
    with span(f"chat {model}", asked, SpanKind.CLIENT) as made:
        yield made


def chosen(session: str, share: float) -> bool:
    """Whether a session is among those whose requests get spans: all of them, or none."""
    if share <= 0.0:
        return False
    digest = hashlib.sha256(session.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) < share * 2.0**64
