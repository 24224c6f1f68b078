"""One process of a crew: told once what its work is, it answers batch by batch until told no more.

Frames are a length of eight bytes and a pickle; they come from our own parent alone.
"""

import os
import pickle
import sys
import traceback
from dataclasses import dataclass
from typing import IO, Generic, TypeVar

Result = TypeVar("Result")

_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Answer(Generic[Result]):
    """What became of a batch: a result, or the error that the work raised."""

    result: Result | None
    error: Exception | None = None


def write_frame(pipe: IO[bytes], data: bytes) -> None:
    """Write one frame and see it off."""
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "big"))
    pipe.write(data)
    pipe.flush()


def read_frame(pipe: IO[bytes]) -> bytes | None:
    """The next frame, or None where the other end is gone."""
    head = pipe.read(_LENGTH_BYTES)
    data = pipe.read(int.from_bytes(head, "big")) if len(head) == _LENGTH_BYTES else b""
    return data or None


def main() -> None:
    """Work until standard input ends."""
    inbox = sys.stdin.buffer
    outbox = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the frames
    told = read_frame(inbox)
    if told is None:
        return
    work = pickle.loads(told)()
    while (frame := read_frame(inbox)) is not None:
        try:
            answer = Answer(work(pickle.loads(frame)))
        except Exception as error:
            answer = Answer(None, _portable(error))
        write_frame(outbox, pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))


def _portable(error: Exception) -> Exception:
    """The error with the place where it was raised; told in words if it can't be pickled."""
    where = traceback.format_exc()
    try:
        again = pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}\n{where}")
    again.add_note(where)
    return again  # type: ignore[no-any-return]


if __name__ == "__main__":
    # The classes of the frames must be those of the module, not of `__main__`.
    from parrot_core.ingest import crew_member

    crew_member.main()
