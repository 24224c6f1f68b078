"""A live refresh leaves what a viewer may be clicking in its place: only words change."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nicegui import Client, ui
from nicegui.page import page

from dashboard.failures_panel import FailuresPanel
from dashboard.keyed import KeyedChildren
from dashboard.widgets import block
from parrot_core.monitor.failures import FailureGroup


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client(page(""), request=None) as opened:
        yield opened
    opened.delete()


@given(shown=st.lists(st.lists(st.integers(0, 8)), max_size=6))
def test_children_stand_in_the_order_of_their_keys_and_those_that_stay_are_the_same(
    client: Client, shown: list[list[int]]
) -> None:
    place = block("")
    children = KeyedChildren(place, lambda key: ui.label(str(key)))
    before: dict[int, ui.label] = {}
    for keys in shown:
        made = dict(children.show(keys))
        assert list(made) == list(dict.fromkeys(keys))
        assert place.default_slot.children == list(made.values())
        assert all(made[key] is before[key] for key in made.keys() & before.keys())
        before = made


def test_the_button_of_a_group_of_failures_stays_while_more_shards_fail(client: Client) -> None:
    asked: list[FailureGroup] = []
    with block("") as place:
        panel = FailuresPanel("demo", asked.append)
    first = FailureGroup("synthesize", "ModelError", "HTTP 500 at 12:01", (1,), (), None)
    panel.show([first])
    (button,) = (each for each in place.descendants() if isinstance(each, ui.button))
    more = replace(first, message="HTTP 500 at 12:02", shards=(1, 2), quarantined=(2,))
    other = FailureGroup("synthesize", "ModelError", "refused", (3, 4, 5), (), None)
    panel.show([other, more])
    buttons = [each for each in place.descendants() if isinstance(each, ui.button)]
    assert button in buttons
    assert button.text == "Release and retry …"
    assert len(buttons) == 2
