"""A viewer's saved choices: theme, columns, name, reading mode.

Kept in the viewer's browser as cookies; what comes from there is never trusted to have a shape.
"""

from urllib.parse import quote, unquote

from nicegui import app, ui

PREFIX = "parrot-pref-"
KEPT_S = 365 * 24 * 3600
LONGEST = 400


def preference(name: str, otherwise: str = "") -> str:
    """What this viewer chose, or ``otherwise``."""
    chosen = app.storage.client.get(PREFIX + name)
    if chosen is not None:
        return str(chosen)
    request = ui.context.client.request
    found = request.cookies.get(PREFIX + name) if request is not None else None
    return unquote(found)[:LONGEST] if found is not None else otherwise


def prefer(name: str, value: str) -> None:
    app.storage.client[PREFIX + name] = value
    cookie = f"{PREFIX}{name}={quote(value[:LONGEST], safe='')}"
    ui.run_javascript(f"document.cookie='{cookie};path=/;samesite=strict;max-age={KEPT_S}'")
