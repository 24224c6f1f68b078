"""Which openings of ShareGPT lean on something unseen, by people's reading and by `seeds`' check.

`context/english_openings.jsonl` has labels of openings that pass the other checks of `seeds`: drawn
at random from those that `detect` finds to lean (`found`), and from the others.

Usage: python bench/openings.py
"""

import json
from collections import Counter

from real_follow_ups import FOLDER, records

from parrot_core.context import detect
from parrot_core.stages.ingest.seeds import leaning_cue

LABELS = FOLDER / "english_openings.jsonl"


def main() -> None:
    """Count, by label, what the check refuses and what it would without its limit of length."""
    labels = [json.loads(line) for line in LABELS.read_text().splitlines()]
    wanted = {label["record"] for label in labels}
    texts = {id: messages[0]["content"] for id, messages in records() if id in wanted}
    counts: Counter[tuple[str, bool]] = Counter()
    for label in labels:
        text = texts[label["record"]]
        counts["labelled", label["leans"]] += 1
        counts["detect finds", label["leans"]] += bool(detect(text, (), "en").depends)
        counts["seeds refuses", label["leans"]] += leaning_cue(text, "en") is not None
    for what in ("labelled", "detect finds", "seeds refuses"):
        print(f"{what}: {counts[what, True]} that lean, {counts[what, False]} that stand alone")


if __name__ == "__main__":
    main()
