"""The reference of every setting of a recipe, as Markdown, made from the models themselves."""

import json
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from parrot_core.recipe import OPERATIONAL, Recipe
from parrot_core.recipe.loading import models_in

HEADER = """# Recipe reference

Every setting, made from the code with `parrot settings > docs/reference/recipe.md`. Settings
marked † are *operational*: they don't change what a run produces, so a run may be resumed with
other values.
"""
_BOUNDS = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}


def recipe_reference() -> str:
    return HEADER + "".join(_section(model) for model in _models(Recipe, set()))


def _models(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """The model, then those its fields hold, each once, in the order of the fields."""
    if model in seen:
        return
    seen.add(model)
    yield model
    for info in model.model_fields.values():
        for inner in models_in(info.annotation):
            yield from _models(inner, seen)


def _section(model: type[BaseModel]) -> str:
    lines = [f"\n## {model.__name__}\n", f"{(model.__doc__ or '').strip()}\n"]
    lines += ["| setting | type | default | what it does |", "|---|---|---|---|"]
    for name, info in model.model_fields.items():
        mark = " †" if info.json_schema_extra == OPERATIONAL else ""
        kind = f"{_kind(info.annotation)}{_bounds(info)}".replace("|", "\\|")
        lines.append(f"| `{name}`{mark} | {kind} | {_default(info)} | {info.description or ''} |")
    return "\n".join(lines) + "\n"


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(a) if a is not type(None) else "null" for a in arguments)
    if annotation is JsonValue:
        return "any value"
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"mapping to {_kind(arguments[1])}"
    if origin is not None and arguments:  # Annotated
        extras = (getattr(each, "json_schema_extra", None) or {} for each in arguments[1:])
        choices = next((extra["enum"] for extra in extras if "enum" in extra), None)
        return ", ".join(f"`{name}`" for name in choices) if choices else _kind(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    names = {str: "text", int: "integer", float: "number", bool: "true or false"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(info: FieldInfo) -> str:
    found = [
        f"{sign} {getattr(item, attribute)}"
        for item in info.metadata
        for kind, (sign, attribute) in _BOUNDS.items()
        if isinstance(item, kind)
    ]
    return f", {', '.join(found)}" if found else ""


def _default(info: FieldInfo) -> str:
    if info.default is PydanticUndefined:
        return "*required*"
    value = info.default
    if isinstance(value, BaseModel):
        changed = value.model_dump(mode="json", exclude_unset=True)
        return f"`{json.dumps(changed)}`" if changed else "its own"
    return f"`{json.dumps(value, ensure_ascii=False)}`"
