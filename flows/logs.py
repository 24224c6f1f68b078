"""How `parrot` and the processes that it starts log: for people, or as one JSON object a line."""

import io
import logging
import os
from enum import StrEnum

from rich.console import Console

COMMAND = logging.getLogger("parrot")
"""What the command itself has to say, where people don't read it."""


class LogFormat(StrEnum):
    """Layouts of log lines."""

    TEXT = "text"
    JSON = "json"


JSON_ENVIRONMENT = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS": "parrot_core.telemetry.log_lines.StderrLines",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
    "PREFECT_LOGGING_HANDLERS_DEBUG_FORMATTER": "json",
    "PREFECT_LOGGING_FORMATTERS_JSON_CLASS": "parrot_core.telemetry.log_lines.JsonLines",
}
"""Makes a Prefect process log JSON lines; what isn't named stays as in Prefect's logging.yml."""

RUN_LOGS_ENVIRONMENT = {
    "PREFECT_LOGGING_EXTRA_LOGGERS": "parrot_core",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}
"""Sends what parrot_core logs in a flow run to the run's logs on the server."""


def set_up(chosen: LogFormat) -> None:
    """Log so in this process and in those it starts. Call it before Prefect is imported."""
    os.environ["PARROT_LOG_FORMAT"] = chosen.value
    if chosen is LogFormat.TEXT:
        return
    from parrot_core.telemetry.log_lines import JsonLines, StderrLines

    os.environ.update(JSON_ENVIRONMENT)
    handler = StderrLines()
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    COMMAND.setLevel(logging.INFO)


def as_json() -> bool:
    """Whether standard error is for machines."""
    return os.environ.get("PARROT_LOG_FORMAT") == LogFormat.JSON


def listen() -> None:
    """Let what parrot_core says through from ``PARROT_LOG_LEVEL`` (INFO) on, in this process."""
    logging.getLogger("parrot_core").setLevel(os.environ.get("PARROT_LOG_LEVEL", "INFO").upper())


def for_people(quiet: bool = False) -> Console:
    """A console on standard error; its lines become log records where machines read them."""
    if not as_json():
        return Console(stderr=True, quiet=quiet)
    return Console(file=_LogRecords(), quiet=quiet, width=10_000, force_terminal=False)


class _LogRecords(io.StringIO):
    """A text file whose lines are log records."""

    def write(self, text: str) -> int:
        for line in filter(None, map(str.strip, text.splitlines())):
            COMMAND.info("%s", line)
        return len(text)
