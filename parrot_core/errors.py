"""The family of errors: a sentence for a person, the facts as attributes, the exit code.

Code decides on these types, never on the text of a message.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any


class PicklableError(Exception):
    """An error that goes from one process to another whole, whatever its constructor takes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _as_it_was, (type(self), self.args, self.__dict__)


def _as_it_was(
    kind: type[PicklableError], args: tuple[object, ...], facts: Mapping[str, object]
) -> PicklableError:
    made = kind.__new__(kind, *args)
    made.__dict__.update(facts)
    return made


class ParrotError(PicklableError):
    """Something went wrong that one sentence explains. Exit code 1: the run failed."""

    exit_code = 1


class UserError(ParrotError):
    """The caller can mend it: a path, a value, a missing key. Exit code 2."""

    exit_code = 2


class RecipeError(UserError):
    """A recipe that can't be read or holds a value out of bounds."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            super().__init__(f"{source}: {self.problems[0]}")
        else:
            many = "".join(f"\n  {problem}" for problem in self.problems)
            super().__init__(f"{source}: {len(self.problems)} things to mend:{many}")


class RecipeChanged(UserError):
    """A run of this name was begun with another recipe."""

    def __init__(self, run: str, differences: Sequence[str]) -> None:
        self.run = run
        self.differences = tuple(differences)
        super().__init__(
            f"run '{run}' was begun with a different recipe: "
            + "; ".join(self.differences)
            + ". Restore these values, or give the new run another name (--name)"
        )


class SourceError(UserError):
    """An input file that is missing, unreadable or in no known layout."""


class MissingVersion(UserError):
    """A dataset or model version that a stage needs has not been published."""

    def __init__(self, name: str, version: str, published: Sequence[str]) -> None:
        self.name = name
        self.version = version
        self.published = tuple(published)
        have = ", ".join(self.published) or "none"
        super().__init__(f"'{name}' has no published version '{version}' (published: {have})")


class RunStopped(ParrotError):
    """The run was asked to stop: by a signal, or cancelled. What is done is kept."""

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class MissingRun(UserError):
    """The lake holds no run of this name."""

    def __init__(self, run: str, known: Sequence[str]) -> None:
        self.run = run
        self.known = tuple(known)
        have = ", ".join(self.known[:10]) or "none"
        like = difflib.get_close_matches(run, self.known, n=1)
        hint = f"; did you mean '{like[0]}'?" if like else ""
        super().__init__(f"the lake has no run '{run}' (runs: {have}){hint}")


class MissingKey(UserError):
    """An API key that the environment does not hold."""

    def __init__(self, engine: str, variable: str) -> None:
        self.engine = engine
        self.variable = variable
        super().__init__(
            f"engine '{engine}' needs an API key: set the environment variable {variable}"
        )


class MissingPackage(UserError):
    """A Python package that a setting needs and that is not installed."""

    def __init__(self, package: str, why: str) -> None:
        self.package = package
        super().__init__(
            f"{why}, which needs the Python package '{package}': pip install {package}, or leave "
            "the setting out"
        )


class RunPaused(UserError):
    """Somebody paused the run; it is theirs to let it go on."""

    def __init__(self, run: str, pause: str) -> None:
        self.run = run
        self.pause = pause
        super().__init__(f"run '{run}' is {pause}. `parrot resume {run}` lets it go on")


class BatchesOpen(UserError):
    """Batches were ordered for an engine that the recipe doesn't ask in batches any more."""

    def __init__(self, engine: str, rounds: Sequence[str]) -> None:
        self.engine = engine
        self.rounds = tuple(rounds)
        super().__init__(
            f"engine '{engine}' has {len(self.rounds)} batches in work or not yet taken, and the "
            f"recipe sets engines.{engine}.batch to null: with it set as before their answers are "
            "taken, not bought again"
        )


class StorageError(ParrotError):
    """The lake could not be read or written (no space, no permission, server away)."""


class DamagedRecord(StorageError):
    """A small file in which the lake keeps a record is no JSON object."""


class CorruptFile(StorageError):
    """A file of a published version differs from what its manifest promises."""

    def __init__(self, path: str, expected: str, found: str) -> None:
        self.path = path
        self.expected = expected
        self.found = found
        super().__init__(f"{path}: expected {expected}, found {found}")


class VersionConflict(ParrotError):
    """Another writer published this version first; its content stands."""


class ShardHeld(ParrotError):
    """Another worker is at this shard and shows signs of life: two would both spend money."""

    def __init__(self, place: str, worker: str) -> None:
        self.place = place
        self.worker = worker
        super().__init__(f"{place} is in work at {worker}; leave it to that worker, or end it")


class LeaseLost(ParrotError):
    """This worker was silent for too long and another has taken its shard over; it must stop."""

    def __init__(self, place: str, epoch: int) -> None:
        self.place = place
        self.epoch = epoch
        super().__init__(
            f"{place}: this worker was silent for too long and another has taken over; "
            "what this one still had in hand is discarded"
        )


class ShardQuarantined(ParrotError):
    """A shard has failed as often as the recipe lets it; runs leave it alone."""

    def __init__(self, place: str, attempts: int, error: str) -> None:
        self.place = place
        self.attempts = attempts
        self.error = error
        super().__init__(
            f"{place}: in quarantine after {attempts} failed attempts, the last one: {error}"
        )


class AccountingError(ParrotError):
    """Rows in differ from rows out plus rejects: nothing may be dropped in silence."""

    def __init__(self, place: str, rows_in: int, rows_out: int, rejected: int) -> None:
        self.place = place
        self.rows_in = rows_in
        self.rows_out = rows_out
        self.rejected = rejected
        super().__init__(
            f"{place}: {rows_in} rows in, but {rows_out} out + {rejected} rejected = "
            f"{rows_out + rejected}"
        )


class WorkersLost(ParrotError):
    """Workers on other machines were lost, or the cluster that they were on."""


class TrainingFailed(ParrotError):
    """The training process ended without a model."""


class PartiallyFailed(ParrotError):
    """Some shards of a stage failed; the others are done and kept."""

    def __init__(
        self,
        run: str,
        stage: str,
        failures: dict[int, str],
        total: int,
        quarantined: Collection[int] = (),
    ) -> None:
        self.run = run
        self.stage = stage
        self.failures = failures
        self.total = total
        self.quarantined = frozenset(quarantined)
        named = "; ".join(f"shard {i}: {why}" for i, why in sorted(failures.items())[:5])
        more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
        super().__init__(
            f"run '{run}' is partially failed: {len(failures)} of {total} shards of "
            f"'{stage}' failed ({named}{more}). {self._advice()}"
        )

    def _advice(self) -> str:
        again = f"`parrot retry {self.run}` runs only those"
        if not self.quarantined:
            return again
        held = f"{len(self.quarantined)} in quarantine: `parrot retry {self.run} --quarantined`"
        return f"{again}, but for {held} tries them again too"
