"""The settings in which recipes differ, path by path."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NAMES = ("name", "description", "lake")
"""What two runs never share, and what decides nothing."""


@dataclass(frozen=True, slots=True)
class Unset:
    """The value of a setting that a recipe doesn't have."""


UNSET = Unset()


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One setting and its value in each of the recipes, in their order."""

    path: str
    values: tuple[object, ...]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; a setting that a recipe doesn't have is null, and named."""
        return {
            "path": self.path,
            "values": [None if value is UNSET else value for value in self.values],
            "unset": [place for place, value in enumerate(self.values) if value is UNSET],
        }


def value_text(value: object) -> str:
    """A setting's value as a reader of YAML knows it; a dash where the recipe has none."""
    if value is UNSET:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def setting_changes(recipes: Sequence[Mapping[str, Any]]) -> tuple[SettingChange, ...]:
    """Every setting whose values are not all equal; the recipes' names are left out.

    A list is one value: what it holds has an order that matters.
    """
    shown = [{k: v for k, v in recipe.items() if k not in NAMES} for recipe in recipes]
    return tuple(_changes(shown, ""))


def _changes(values: Sequence[object], path: str) -> Iterator[SettingChange]:
    trees = [value for value in values if isinstance(value, Mapping)]
    if trees and all(isinstance(value, Mapping) or value is UNSET for value in values):
        keys = dict.fromkeys(key for tree in trees for key in tree)
        for key in keys:
            below = [v.get(key, UNSET) if isinstance(v, Mapping) else UNSET for v in values]
            yield from _changes(below, f"{path}.{key}" if path else str(key))
    elif any(type(value) is not type(values[0]) or value != values[0] for value in values[1:]):
        yield SettingChange(path, tuple(values))
