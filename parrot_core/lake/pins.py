"""What a recipe's pins say beyond what they name."""

from collections.abc import Mapping

MADE_ONLY_FOR = {"records": "conversations"}
"""Datasets that nothing but the stage of one other dataset reads."""


def all_pins(inputs: Mapping[str, str]) -> dict[str, str]:
    """The versions that a run takes from elsewhere, by dataset or model.

    A pinned dataset pins, too, what was made for it alone: there is nothing left to make it for.
    """
    implied = {made: inputs[whole] for made, whole in MADE_ONLY_FOR.items() if whole in inputs}
    return {**implied, **inputs}


def is_unneeded(output: str, inputs: Mapping[str, str]) -> bool:
    """Whether nothing reads ``output`` any more, so that it needn't even be there."""
    return MADE_ONLY_FOR.get(output) in inputs
