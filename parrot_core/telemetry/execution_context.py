"""The run, stage and shard that the running code works on, for log lines and spans."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """A run, and as far inside it as is known."""

    run: str = ""
    stage: str = ""
    shard: int | None = None
    session: str = ""  # id of the row that is worked on

    def fields(self) -> dict[str, str | int]:
        names = ("run", "stage", "shard", "session")
        known = {name: getattr(self, name) for name in names}
        return {name: value for name, value in known.items() if value not in ("", None)}


_HERE: ContextVar[ExecutionContext] = ContextVar("parrot_place", default=ExecutionContext())  # noqa: B039, it is frozen


def current_context() -> ExecutionContext:
    """Where the calling thread or coroutine is."""
    return _HERE.get()


@contextmanager
def in_context(
    run: str | None = None,
    stage: str | None = None,
    shard: int | None = None,
    session: str | None = None,
) -> Iterator[None]:
    """Be further inside a run until the block ends; what isn't given stays as it is.

    Coroutines and what Prefect submits take their place with them; a thread of our own does so
    only if it runs in a copy of the context.
    """
    given = {"run": run, "stage": stage, "shard": shard, "session": session}
    more = {name: value for name, value in given.items() if value is not None}
    token = _HERE.set(replace(current_context(), **more))  # type: ignore[arg-type]
    try:
        yield
    finally:
        _HERE.reset(token)
