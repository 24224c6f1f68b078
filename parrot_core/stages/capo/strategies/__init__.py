"""The ways to get an answer's context wrong: a file each, its name is the strategy's.

A module has ``write``, see :data:`parrot_core.stages.capo.negatives.Strategist`. A new one is a
file here, its test, and its name in a recipe; which names a recipe may have is read off this
folder.
"""

from importlib import import_module

from parrot_core.recipe import ALL_STRATEGIES
from parrot_core.stages.capo.negatives import Strategist

NEGATIVES: dict[str, Strategist] = {
    name: import_module(f"{__name__}.{name}").write for name in ALL_STRATEGIES
}
