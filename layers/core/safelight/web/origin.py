"""Which site a request comes from."""

from fastapi import Request

from safelight.config import Settings
from safelight.errors import Forbidden


def refuse_other_sites(request: Request, config: Settings) -> None:
    """Raises Forbidden when a browser says that another site sends this: cookies would come along unasked.

    Browsers name the origin with every request that changes something (Fetch Standard, "append a request Origin
    header"); programs, which bring no cookies of a person's, need not.
    """
    if is_other_site(request, config):
        raise Forbidden("This request comes from another site")


def is_other_site(request: Request, config: Settings) -> bool:
    """Whether a browser says so."""
    return any(origin != config.origin for origin in request.headers.getlist("origin"))
