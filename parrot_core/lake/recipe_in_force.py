"""The recipe that a run works with now, where it differs from the one it was begun with.

Operational settings (budget, limits, shards at once) may be changed for a run that goes on. What
was changed last stands beside ``run.json``, so that whoever looks sees the budget that holds.
"""

from collections.abc import Mapping
from typing import Any

from parrot_core.lake.storage import Storage


class RecipeInForce:
    """The record of one run."""

    def __init__(self, storage: Storage, run: str) -> None:
        self._storage = storage
        self._path = f"runs/{run}/in-force.json"

    def read(self) -> dict[str, Any] | None:
        """The recipe; None while it is the one that the run was begun with."""
        try:
            return dict(self._storage.read_json(self._path)["recipe"])
        except FileNotFoundError:
            return None

    def note(self, recipe: Mapping[str, Any], begun_with: Mapping[str, Any]) -> None:
        """Keep the recipe if it isn't the one known."""
        known = self.read()
        if dict(recipe) != (begun_with if known is None else known):
            self._storage.write_json(self._path, {"recipe": dict(recipe)})
