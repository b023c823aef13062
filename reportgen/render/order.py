"""The order in which the pages of a site are read: what comes before and after each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class MenuItem:
    """One entry of the menu at the top of every page."""

    title: str
    href: str
    key: str


@dataclass(frozen=True)
class Place:
    """A page that another one leads to."""

    path: str
    title: str


@dataclass(frozen=True)
class Stand:
    """Where a page stands among its neighbours."""

    before: Place | None = None
    after: Place | None = None
    position: str = ""
    "Among its like: `5 of 57`."


def in_order(places: Sequence[Place]) -> Iterator[Stand]:
    """Where each of some pages of one kind stands."""
    for index in range(len(places)):
        yield _stand(places, index, f"{index + 1:,} of {len(places):,}")


def in_menu(menu: Sequence[MenuItem], key: str, paths: Sequence[str] = (), at: int = 0) -> Stand:
    """Where a page that the menu leads to stands.

    Args:
        menu: of the site.
        key: the entry that the page belongs to.
        paths: of all the pages of this entry, where it has several.
        at: which of these the page is, counted from 0.
    """
    first = [item.key for item in menu].index(key)
    title = menu[first].title
    others = [Place(path, f"{title}, page {number}") for number, path in enumerate(paths[1:], 2)]
    places = [Place(item.href, item.title) for item in menu]
    places[first + 1 : first + 1] = others
    return _stand(places, first + at, f"page {at + 1} of {len(paths)}" if others else "")


def _stand(places: Sequence[Place], at: int, position: str) -> Stand:
    after = places[at + 1] if at + 1 < len(places) else None
    return Stand(places[at - 1] if at else None, after, position)
