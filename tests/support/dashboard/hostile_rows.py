"""Rows that would take over a page, or break it, if they were not shown as text."""

from parrot_core.lake.lake import Lake
from tests.support.lakes.published import Row, dialogue, publish

OWNED = "window.owned = true"
HOSTILE = (
    f"<script>{OWNED}</script><img src=x onerror='{OWNED}'><svg onload='{OWNED}'>"
    "![x](http://evil.example/x.png) [click](javascript:alert(1)) {{ constructor }}"
    "\u202egnp.exe\u202c\x00\x1b[31m {{7*7}} ${7*7} "
)


def publish_hostile(lake: Lake) -> None:
    rows = [
        dialogue(f"evil<img src=x onerror='{OWNED}'>", [HOSTILE, HOSTILE, "And why?", "Because."]),
        dialogue("huge", ["How long?", "long " * 400_000], topic="long, longer"),
        dialogue("rtl", ["\u05e9\u05dc\u05d5\u05dd \u202e abc", "\u0645\u0631\u062d\u0628\u0627"]),
    ]
    publish(lake, "dialogues", rows, version="hostile")
    pairs = [_pair(strategy) for strategy in ("neglect", "hallucination", "misunderstanding")]
    publish(lake, "preferences", pairs, version="hostile", inputs={"dialogues": "hostile"})


def _pair(strategy: str) -> Row:
    said = {"role": "assistant", "content": f"wrong by {strategy} {HOSTILE}"}
    return {
        "id": f"huge/t1:{strategy}",
        "source_ids": ["huge"],
        "language": "en",
        "strategy": strategy,
        "turn": 1,
        "prompt": [{"role": "user", "content": "How long?"}],
        "chosen": [{"role": "assistant", "content": "Very long."}],
        "rejected": [said],
        "evidence": None if strategy == "neglect" else f"evidence {HOSTILE}",
        "evidence_by": "writer",
    }
