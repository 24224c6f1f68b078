"""English queries: a small learned model decides, a few patterns name what shows it."""

from parrot_core.context.english.cues import find_cues

__all__ = ["find_cues"]
