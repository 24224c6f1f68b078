"""YAML in, a validated recipe out, or all of its mistakes, each with its line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from parrot_core.errors import RecipeError
from parrot_core.recipe.whole import Recipe
from parrot_core.text.wording import did_you_mean

_TAGS = ("vllm", "openai", "plain_url", "mapping")  # the kind that pydantic took; users see none
_Place = tuple[str | int, ...]
_ENGINE_SETTINGS: Mapping[_Place, str | None] = {
    ("synthesize", "asker"): "asker",
    ("synthesize", "answerer"): "answerer",
    ("select", "judge"): "judge",
    ("capo", "writer"): "answerer",
    ("capo", "judge"): None,
    ("evaluate", "judge"): "judge",
}
"""Settings that name an engine, with their defaults.

A default that isn't there is left to the stage that reads it: maybe nobody wants that stage.
"""


def load_recipe(path: str | Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe from a YAML file and apply ``key.path=value`` overrides.

    Raises:
        RecipeError: the file is missing, isn't YAML, or values are out of bounds; the message
            names the file, and for each mistake its line, key, value and what was expected.
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
        tree = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f"line {where.line + 1}: " if where else ""
        problem = getattr(error, "problem", None) or "syntax error"
        raise RecipeError(source, [f"{line}not valid YAML: {problem}"]) from None
    if not isinstance(data, dict):
        raise RecipeError(source, ["expected a mapping of settings at the top level"])
    changed = [_apply(data, override) for override in overrides]
    return parse_recipe(data, source, _Lines(tree, changed))


def overridden(recipe: Recipe, overrides: tuple[str, ...]) -> Recipe:
    """A recipe with ``key.path=value`` overrides applied; RecipeError as for a file."""
    data = recipe.model_dump(mode="json")
    for override in overrides:
        _apply(data, override)
    return parse_recipe(data)


class _Lines:
    """Where in its file a setting stands."""

    def __init__(self, tree: yaml.Node | None, changed: Sequence[_Place]) -> None:
        self._tree = tree
        self._changed = changed

    def of(self, place: _Place) -> tuple[int, str]:
        """The number, and ``line 12: ``; or ``--set: `` for what the command line has set."""
        if any(place[: len(key)] == key for key in self._changed):
            return 0, "--set: "
        node, line = self._tree, 0
        for part in place:
            found = _child(node, part)
            if found is None:
                if any(key[: len(place)] == place for key in self._changed):
                    return 0, "--set: "
                break
            line, node = found
        return line, f"line {line + 1}: "


def _child(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    """The line of a key or item, and the node below it."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item.start_mark.line, item
    return None


def parse_recipe(
    data: dict[str, Any], source: str = "recipe", lines: _Lines | None = None
) -> Recipe:
    """Validate a mapping as a recipe; ``source`` names it in errors."""
    problems: list[tuple[_Place, str]] = []
    recipe: Recipe | None = None
    try:
        recipe = Recipe.model_validate(data)
    except ValidationError as error:
        problems = [_described(item) for item in error.errors()]
    problems += _unknown_engines(data)
    if problems or recipe is None:
        placed = [(*(lines.of(place) if lines else (0, "")), text) for place, text in problems]
        ordered = [f"{line}{text}" for _, line, text in sorted(placed, key=lambda each: each[0])]
        raise RecipeError(source, list(dict.fromkeys(ordered)))
    return recipe


def _described(item: Any) -> tuple[_Place, str]:
    """Where pydantic found something, and what, in our words."""
    place = tuple(part for part in item["loc"] if part not in _TAGS)
    where = ".".join(map(str, place))
    message = re.sub(r"^Value error, ", "", item["msg"])
    given = item.get("input")
    if item["type"] == "extra_forbidden":
        hint = did_you_mean(str(place[-1]), _settings_at(place[:-1]))
        return place, f"{where}: no such setting{hint}"
    if item["type"] == "missing" or isinstance(given, dict | BaseModel):
        return place, f"{where}: {message}" if where else message
    known = re.findall(r"'([^']*)'", str(item.get("ctx", {}).get("expected", "")))
    return place, f"{where}: {message} (given: {given!r}){did_you_mean(str(given), known)}"


def _settings_at(place: _Place) -> set[str]:
    models: set[type[BaseModel]] = {Recipe}
    for part in place:
        fields = [m.model_fields[part] for m in models if part in m.model_fields]
        if fields:
            models = {inner for field in fields for inner in models_in(field.annotation)}
    return {name for model in models for name in model.model_fields}


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a field's type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def _unknown_engines(data: Mapping[str, Any]) -> Iterator[tuple[_Place, str]]:
    """Yield what names an engine that isn't there."""
    engines = data.get("engines") or {}
    if not isinstance(engines, dict):
        return
    named: dict[_Place, Any] = {place: _at(data, place) for place in _ENGINE_SETTINGS}
    subjects = _at(data, ("evaluate", "subjects"))
    if isinstance(subjects, dict):
        named |= {("evaluate", "subjects", name): engine for name, engine in subjects.items()}
    for place, engine in named.items():
        default = _ENGINE_SETTINGS.get(place)
        if isinstance(engine, str) and engine not in engines and engine != default:
            have = ", ".join(sorted(map(str, engines))) or "none"
            hint = did_you_mean(engine, map(str, engines))
            where = ".".join(map(str, place))
            yield place, f"{where} names engine '{engine}', but engines has: {have}{hint}"


def _at(data: Mapping[str, Any], place: _Place) -> Any:
    node: Any = data
    for part in place:
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _apply(data: dict[str, Any], override: str) -> _Place:
    """Set one value; returns its place."""
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
    return (*parents, last)
