"""Cookies that belong to one link: the visitor's, the grant of a locked link, and the one that holds favourites.

A browser sends those of all links with each request, because a link has two addresses, and servers limit a header:
nginx to 8 KiB by default, API Gateway all headers to 10 KiB. So an answer that gives a cookie lets the oldest ones of
other links expire when they are many.
"""

import re
import uuid
from typing import Literal

from fastapi import Response

from safelight.config import settings

type Kind = Literal["visitor", "grant", "picks"]

# Bytes that all of them may have together before some of the kind are dropped. A lost list of favourites is worse than
# a password that is asked for again, and that is worse than a visitor who is counted again: the visitors' go first.
_MOST: dict[Kind, int] = {"visitor": 4096, "grant": 6144, "picks": 6144}
# More than one answer gives. Not all at once, because the headers of an answer are limited, too.
_DROPPED = 8
_COOKIE = re.compile(r"(?:^|;\s*)((visitor|grant|picks)_([0-9a-f]{32})=[^;]*)")


def name_of(kind: Kind, share_id: uuid.UUID) -> str:
    """The name of a link's cookie."""
    return f"{kind}_{share_id.hex}"


def keep(response: Response, name: str, value: str, seconds: int) -> None:
    """Have the browser keep a cookie that no script can read, for the paths of visitors alone; 0 seconds drop it."""
    config = settings()
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        # A link has two addresses, by its id and by its slug, so its cookies cannot be bound to one of them.
        path=f"{config.base_path}/s/",
        httponly=True,
        secure=config.is_https,
        samesite="lax",  # the link is followed from an e-mail or a chat; strict would not send it then
    )


def surplus(brought: str, share_id: uuid.UUID) -> list[str]:
    """Names of cookies to drop out of a Cookie header, so that those of links stay below 7 KiB; none of this link's.

    The oldest ones of a kind come first, as browsers send cookies (RFC 6265 section 5.4).
    """
    found = _COOKIE.findall(brought)
    size = sum(len(cookie) + len("; ") for cookie, _, _ in found)
    names: list[str] = []
    for kind, most in _MOST.items():
        for cookie, its_kind, link in found:
            if size > most and len(names) < _DROPPED and its_kind == kind and link != share_id.hex:
                names.append(f"{kind}_{link}")
                size -= len(cookie) + len("; ")
    return names
