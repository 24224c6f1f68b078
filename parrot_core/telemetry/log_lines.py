"""Log records as JSON, one a line, that say where in a run they come from; secrets stay out."""

import json
import logging
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from opentelemetry import trace
from pythonjsonlogger.json import JsonFormatter

from parrot_core.telemetry.execution_context import current_context
from parrot_core.text.redaction import SHORTEST, without_key

SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD", "AUTH_STRING", "CREDENTIAL", "WEBHOOK")
"""A variable whose name ends with one of these holds a secret."""


class JsonLines(JsonFormatter):
    """One object a record: time, level, logger, message, place, and what the record brings along.

    Inside a span it names trace and span. Values of secret variables of the environment are
    replaced, whoever logs them; engines keep them out of what they say already.
    """

    def __init__(
        self, fmt: object = None, datefmt: object = None, style: object = "%", **ignored: object
    ) -> None:
        """Take what ``logging.config`` gives every formatter; the layout is ours."""
        super().__init__(
            ("levelname", "name", "message"),
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "traceback"},
            timestamp="time",
        )
        self._secrets = secrets_of(os.environ)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """The record's fields, behind its place."""
        inside = trace.get_current_span().get_span_context()
        if inside.is_valid:
            log_data["trace_id"] = trace.format_trace_id(inside.trace_id)
            log_data["span_id"] = trace.format_span_id(inside.span_id)
        return {**log_data, **current_context().fields()}

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        line = super().jsonify_log_record(log_data)
        for secret in self._secrets:
            line = without_key(line, secret)
        return line


class StderrLines(logging.StreamHandler[TextIO]):
    """Writes each record as it is: Prefect's own handler would colour it and replace ``:key:``."""

    def __init__(self, stream: TextIO | None = None, styles: object = None) -> None:
        """``styles`` is what Prefect gives its handler. Python's warnings become records, too."""
        super().__init__(stream or sys.stderr)
        logging.captureWarnings(True)


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Values to keep out of lines, as JSON spells them, the longest first."""
    found: Iterable[str] = (
        value
        for name, value in environment.items()
        if name.upper().endswith(SECRET_NAMES) and len(value) >= SHORTEST
    )
    spelled = {json.dumps(value)[1:-1] for value in found}
    return tuple(sorted(spelled, key=len, reverse=True))
