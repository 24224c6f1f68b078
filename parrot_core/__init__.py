"""The factory as a library: a recipe, a run of its stages in this process, and the lake to read.

>>> import json, pathlib, tempfile
>>> from parrot_core import Lake, Recipe, run
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> chat = [{"from": "human", "value": "Name a red fruit."}, {"from": "gpt", "value": "Cherry."}]
>>> sessions = [{"id": "s1", "conversations": chat}]
>>> _ = (folder / "chats.json").write_text(json.dumps(sessions))
>>> recipe = Recipe.model_validate(
...     {"name": "first", "lake": str(folder), "ingest": {"sources": [str(folder / "chats.json")]}}
... )
>>> made = run(recipe, until="assemble")
>>> made["conversations"].accounting.rows_out
1
>>> Lake(str(folder)).dataset("conversations", "first").frame()["n_turns"].to_list()
[1]

The names are imported when they are first used, so that ``import parrot_core`` stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from parrot_core.version import __version__

if TYPE_CHECKING:
    from parrot_core.context.detect import detect
    from parrot_core.execution.local import preview, run
    from parrot_core.lake.lake import Lake
    from parrot_core.recipe import Recipe, load_recipe
    from parrot_core.stages.synthesis.converse import converse

__all__ = [
    "Lake",
    "Recipe",
    "__version__",
    "converse",
    "detect",
    "load_recipe",
    "preview",
    "run",
]

_MODULES = {
    "Lake": "lake.lake",
    "Recipe": "recipe",
    "converse": "stages.synthesis.converse",
    "detect": "context.detect",
    "load_recipe": "recipe",
    "preview": "execution.local",
    "run": "execution.local",
}


def __getattr__(name: str) -> Any:
    """A public name, imported from where it is defined."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"parrot_core.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
