"""Keys of records in a reader's words: ``examples.left_out.too_long`` is ``left out: too long``."""

KNOWN = {
    "n_turns": "turns",
    "tokens_per_s": "tokens a second",
    "end_reason": "why it ended",
    "heldout": "held out",
    "learning_rate": "learning rate",
    "mean_token_accuracy": "share of tokens guessed right",
    "rewards/margins": "reward margin, chosen over rejected",
    "rewards/accuracies": "share of pairs ranked right",
    "rewards/chosen": "reward of the chosen answer",
    "rewards/rejected": "reward of the rejected answer",
    "margins": "reward margin, chosen over rejected",
    "accuracies": "share of pairs ranked right",
    "truncated": "an answer cut off",
    "filter": "what the filter said",
    "judge_prompt": "the judge's instructions",
    "pair_prompt": "the judge's instructions for pairs",
    "prompt_set": "the writer's instructions",
    "truncated_by_rule": "sessions shortened, by rule",
    "chars": "characters",
}
"""Where the plain reading of a key isn't what an engineer would call it."""

DROPPED = ("examples.",)
"""Folders of a key that say nothing to a reader."""


def in_words(key: str) -> str:
    if key in KNOWN:
        return KNOWN[key]
    for folder in DROPPED:
        key = key.removeprefix(folder)
    parts = [KNOWN.get(part, part.replace("_", " ").replace("/", " ")) for part in key.split(".")]
    return ": ".join(parts)
