"""The few building blocks that all pages share. What comes from data is only ever a text node."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from markupsafe import Markup
from nicegui import run, ui
from nicegui.element import Element

from parrot_core.errors import ParrotError
from parrot_core.report.charts import Series, line_chart
from parrot_core.text.sanitise import CLIP, one_line, sanitise

T = TypeVar("T")


def block(classes: str = "", tag: str = "div") -> Element:
    return ui.element(tag).classes(classes)


def line(text: object, classes: str = "", limit: int = 200) -> ui.label:
    return ui.label(one_line(text, limit)).classes(classes)


def body(text: object, classes: str = "", limit: int = CLIP) -> ui.label:
    """A text as it was written, sanitised: lines and spaces kept."""
    return ui.label(sanitise(text, limit)).classes(f"text {classes}").props('dir="auto"')


def chip(status: str, text: str = "") -> ui.label:
    return ui.label(text or status).classes(f"chip {status}")


def title(*parts: str) -> None:
    """Name the page, for tabs and screen readers."""
    ui.page_title(" · ".join([*(one_line(part, 80) for part in parts), "Parrot Factory"]))


def heading(text: str, level: int = 1) -> Element:
    with block(tag=f"h{level}") as element:
        ui.label(one_line(text))
    return element


@contextmanager
def section(title: str, why: str = "") -> Iterator[Element]:
    with block("card", "section") as element:
        heading(title, 2)
        if why:
            ui.label(why).classes("why")
        yield element


def drawing(markup: Markup, classes: str = "") -> ui.html:
    """An SVG of ours. ``Markup`` escaped whatever was put into it; no other type is taken."""
    return ui.html(str(markup), sanitize=False).classes(classes)


def redraw(element: ui.html, markup: Markup) -> None:
    """Show another drawing, if it differs."""
    if element.content != str(markup):
        element.set_content(str(markup))


def chart(series: Sequence[Series], title: str, x_label: str, *, whole_steps: bool = False) -> None:
    """Lines over a common axis, with their names."""
    with block("figure", "figure"):
        with block("caption"):
            ui.label(title).classes("title")
            for each in series if len(series) > 1 else ():
                ui.label(one_line(each.name)).classes(f"key tone-{each.tone}")
        drawing(line_chart(series, title=title, x_label=x_label, whole_steps=whole_steps))


class Bar:
    """A progress bar that moves."""

    def __init__(self, name: str) -> None:
        """At zero; ``name`` is for screen readers."""
        with block("bar").props('role="progressbar" aria-valuemin=0 aria-valuemax=100') as outer:
            outer.props["aria-label"] = one_line(name, 120)
            self._inner = block("fill")
        self._outer = outer
        self._shown: tuple[float | None, str] = (-1.0, "")

    def show(self, percent: float | None, status: str) -> None:
        """Move to ``percent``; None is work of unknown length."""
        if (percent, status) == self._shown:
            return
        self._shown = (percent, status)
        self._inner.classes(replace=f"fill {status}{' unknown' if percent is None else ''}")
        self._inner.style(replace=f"width:{100 if percent is None else percent:.1f}%")
        self._outer.props(f"aria-valuenow={percent or 0:.0f}")


def facts(pairs: Mapping[str, object]) -> None:
    with block("facts", "dl"):
        for name, value in pairs.items():
            with block(""):
                with block("", "dt"):
                    ui.label(one_line(name))
                with block("", "dd"):
                    ui.label(one_line(value, 300))


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    numbers: frozenset[int],
    marked: frozenset[int] = frozenset(),
) -> None:
    """A small table of texts; the columns in ``numbers`` stand to the right, rows can stand out."""
    scroll = block("scroll").props('tabindex=0 role="group"')
    scroll.props["aria-label"] = f"Table by {head[0]}"
    with scroll, block("grid", "table"):
        with block("", "thead"), block("", "tr"):
            for position, name in enumerate(head):
                with block("n" if position in numbers else "", "th"):
                    ui.label(name)
        with block("", "tbody"):
            for number, row in enumerate(rows):
                with block("marked" if number in marked else "", "tr"):
                    for position, cell in enumerate(row):
                        with block("n" if position in numbers else "", "td"):
                            ui.label(one_line(cell, 300))


async def in_thread(work: Callable[[], T]) -> T:
    """Call a function that waits for storage, in a thread.

    NiceGUI answers None while the server is being stopped: then we end as a cancelled task does.
    """
    found = await run.io_bound(lambda: (work(),))
    if found is None:
        raise asyncio.CancelledError
    return found[0]


async def read(work: Callable[[], T]) -> T | None:
    """Read something in a thread; what goes wrong is shown in place and gives None."""
    try:
        return await in_thread(work)
    except (ParrotError, OSError, IndexError) as error:
        with block("note alarm").props('role="alert"'):
            line(error, limit=600)
        return None


def button(text: str, on_click: Callable[[], object], kind: str = "outline") -> ui.button:
    """A button: ``solid`` for what matters most, ``outline``, or ``flat``."""
    made = ui.button(text, on_click=on_click, color=None).props("no-caps").classes("act")
    restyle(made, kind)
    return made


def restyle(made: ui.button, kind: str) -> None:
    """Make a button one of another kind, in its place."""
    if kind not in made.classes:
        made.props("unelevated" if kind == "solid" else kind, remove="unelevated outline flat")
        made.classes(kind, remove="solid outline flat")


def act(work: Callable[[], object], done: str) -> None:
    """Do something that a viewer asked for, and say how it went."""
    try:
        work()
    except (ParrotError, OSError) as error:
        ui.notify(one_line(error, 300), type="negative", timeout=8000)
    else:
        ui.notify(done, type="positive", timeout=2500)
