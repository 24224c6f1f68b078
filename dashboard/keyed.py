"""Children of an element by key: a live refresh never builds one anew that stays, since a click on
an element that is replaced while the mouse button is down is lost."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from nicegui.element import Element

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class KeyedChildren(Generic[K, T]):
    """What ``build`` made of each key, in the order of the keys; it makes one element a key."""

    def __init__(self, place: Element, build: Callable[[K], T]) -> None:
        """None yet."""
        self._place = place
        self._build = build
        self._made: dict[K, tuple[Element, T]] = {}

    def show(self, keys: Iterable[K]) -> Mapping[K, T]:
        """Build what is new, take away what is gone, and give what was built of each key."""
        wanted = list(dict.fromkeys(keys))
        for gone in self._made.keys() - set(wanted):
            self._made.pop(gone)[0].delete()
        shown = self._place.default_slot.children
        for index, key in enumerate(wanted):
            if key not in self._made:
                with self._place:
                    built = self._build(key)
                self._made[key] = (shown[-1], built)
            element = self._made[key][0]
            if shown[index] is not element:
                element.move(target_index=index)
        return {key: self._made[key][1] for key in wanted}
