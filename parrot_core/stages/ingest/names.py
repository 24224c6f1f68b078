"""Names in a recipe that stand for files here: layouts, rules, checks."""

from collections.abc import Iterable, Iterator

from parrot_core.errors import UserError
from parrot_core.recipe import Ingest
from parrot_core.stages.ingest.layouts import LAYOUTS
from parrot_core.stages.ingest.rules import CHECKS, CHOSEN_TEXT_RULES


def check_names(settings: Ingest) -> None:
    """Raise UserError if the recipe names a layout, rule or check that doesn't exist."""
    for setting, names, known in _named(settings):
        for name in names:
            if name not in known:
                raise UserError(f"{setting}: no '{name}'; there are: {', '.join(known)}")


def _named(settings: Ingest) -> Iterator[tuple[str, Iterable[str], Iterable[str]]]:
    yield "ingest.rules", settings.rules, tuple(CHOSEN_TEXT_RULES)
    yield "ingest.checks", settings.checks, tuple(CHECKS)
    layouts = [s.layout for s in settings.sources if not isinstance(s, str) and s.layout]
    yield "ingest.sources: layout", layouts, tuple(LAYOUTS)
