"""How likely models find the same queries, compared."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from parrot_core.estimates import ratio, ratio_difference
from parrot_core.stages.likelihoods import Scores


def compare_likelihoods(
    found: Mapping[str, Scores], ids: Sequence[str], seed: int
) -> dict[str, Any]:
    """Compare how likely models find the same queries.

    Args:
        found: the scores of each model; that of the first answer counts.
        ids: the queries.
        seed: of the intervals.

    Returns:
        ``models``: for each the mean negative log-likelihood in nats a token, the end of the turn
        included, with its 95 % bootstrap interval over sessions; ``less``: for each but the
        first, how much higher it is than the first's, paired, and in how many of the queries;
        ``queries`` and ``too_long``, what didn't fit a model.
    """
    fitting = [id for id in ids if all(scores[id] for scores in found.values())]
    parts = {name: _surprise(scores, fitting) for name, scores in found.items()}
    first, *others = parts
    less = {}
    for name in others:
        above, below = parts[name], parts[first]
        higher = [a / n > b / m for a, n, b, m in zip(*above, *below, strict=True)]
        less[name] = {
            **asdict(ratio_difference(above, below, seed)),
            "higher_in": sum(higher),
        }
    return {
        "models": {
            name: {**asdict(ratio(part, seed)), "tokens": int(sum(part[1]))}
            for name, part in parts.items()
        },
        "less": less,
        "queries": len(fitting),
        "too_long": len(ids) - len(fitting),
    }


def _surprise(scores: Scores, ids: Sequence[str]) -> tuple[list[float], list[float]]:
    """Sum of negative log-likelihoods and tokens of each query."""
    whole = [scores[id] for id in ids]
    first = [each[0] for each in whole if each]
    return [-total for total, _ in first], [float(count) for _, count in first]
