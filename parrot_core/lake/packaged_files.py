"""Files that an installed Python package ships, named as ``package://PACKAGE/FILE``."""

import importlib.util
from pathlib import Path

from parrot_core.errors import SourceError

SCHEME = "package://"


def is_packaged(url: str) -> bool:
    """Whether a URL names a file of a package."""
    return url.startswith(SCHEME)


def packaged_file(url: str) -> Path:
    """Find the file that ``package://PACKAGE/FILE`` names, without importing the package.

    Raises:
        SourceError: the package isn't installed, or ships no such file.
    """
    package, _, inside = url.removeprefix(SCHEME).partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise SourceError(
            f"{url}: no Python package '{package}' is installed; expected package://PACKAGE/FILE "
            "with the package's import name"
        )
    path = Path(places[0]) / inside
    if not inside or not path.is_file():
        raise SourceError(f"{url}: package '{package}' ships no file '{inside}'")
    return path
