"""YAML in, a validated recipe out, or one clear line a mistake."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from parrot_core.errors import RecipeError
from parrot_core.recipe.whole import Recipe

_TAGS = ("vllm", "openai", "plain_url", "mapping")  # the kind that pydantic took; users see none


def load_recipe(path: str | Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe from a YAML file and apply ``key.path=value`` overrides.

    Raises:
        RecipeError: the file is missing, isn't YAML, or a value is out of bounds; the message
            names the file, the key, the value and what was expected.
    """
    source = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(source, ["no such file; expected a recipe in YAML"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(source, [f"can't be read: {error}"]) from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f"line {where.line + 1}: " if where else ""
        problem = getattr(error, "problem", None) or "syntax error"
        raise RecipeError(source, [f"{line}not valid YAML: {problem}"]) from None
    if not isinstance(data, dict):
        raise RecipeError(source, ["expected a mapping of settings at the top level"])
    for override in overrides:
        _apply(data, override)
    return parse_recipe(data, source)


def overridden(recipe: Recipe, overrides: tuple[str, ...]) -> Recipe:
    """A recipe with ``key.path=value`` overrides applied; RecipeError as for a file."""
    data = recipe.model_dump(mode="json")
    for override in overrides:
        _apply(data, override)
    return parse_recipe(data)


def parse_recipe(data: dict[str, Any], source: str = "recipe") -> Recipe:
    """Validate a mapping as a recipe; ``source`` names it in errors."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(source, [_describe(item) for item in error.errors()]) from None


def _describe(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"] if part not in _TAGS)
    message = re.sub(r"^Value error, ", "", item["msg"])
    given = item.get("input")
    if item["type"] in ("missing", "extra_forbidden") or isinstance(given, dict | BaseModel):
        return f"{where}: {message}" if where else message
    return f"{where}: {message} (given: {given!r})"


def _apply(data: dict[str, Any], override: str) -> None:
    key, separator, raw = override.partition("=")
    if not separator or not key:
        raise RecipeError("--set", [f"expected key.path=value, given {override!r}"])
    *parents, last = key.split(".")
    node = data
    for part in parents:
        child = node.get(part, {})
        if not isinstance(child, dict):
            raise RecipeError("--set", [f"{key}: '{part}' holds a value, not settings"])
        # A copy: where the file repeats settings by `*alias`, all places hold one mapping.
        node[part] = node = dict(child)
    try:
        node[last] = yaml.safe_load(raw)
    except yaml.YAMLError:
        raise RecipeError("--set", [f"{key}: {raw!r} is not a YAML value"]) from None
