"""Sessions, keys, links and visitors as they should be, for random histories to be compared with."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field

import httpx2 as httpx

from tests.api import client


@dataclass(eq=False)
class Signed:
    """A session as it should be: its refresh tokens in their order, each with whether its grace is over."""

    refresh: list[str]
    access: list[str]
    live: bool = True
    late: bool = False
    """The use of the last token but one is longer ago than the grace."""


@dataclass(eq=False)
class Key:
    id: str
    key: str
    scopes: set[str]
    live: bool = True


@dataclass(eq=False)
class Link:
    """A link as it should be; `version` counts its policies."""

    id: str
    password: str | None
    download: str
    most: int | None
    favourites: int | None
    version: int = 1
    revoked: bool = False
    expired: bool = False
    deleted: bool = False
    views: int = 0
    downloads: int = 0

    @property
    def live(self) -> bool:
        return not (self.revoked or self.expired or self.deleted)


def _browser() -> httpx.Client:
    """One that no other visitor has."""
    browser = client()
    browser.headers["User-Agent"] = f"visitor {uuid.uuid4()}"
    return browser


@dataclass(eq=False)
class Visitor:
    """`copies`: of which photo, in which quality, by which link, how often."""

    http: httpx.Client = field(default_factory=_browser)
    copies: Counter[tuple[Link, int, str]] = field(default_factory=Counter)
    grants: dict[Link, int] = field(default_factory=dict)
    picks: dict[Link, set[str]] = field(default_factory=dict)
    submitted: set[Link] = field(default_factory=set)


steps: list[type] = []
"""One for each that was taken."""
