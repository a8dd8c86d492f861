"""Which site a request comes from."""

from fastapi import Request

from safelight.config import Settings
from safelight.errors import Forbidden


def refuse_other_sites(request: Request, config: Settings) -> None:
    """Raises Forbidden when a browser says that another site sends this: cookies would come along unasked.

    Browsers name the origin with every request that changes something (Fetch Standard, "append a request Origin
    header"); programs, which bring no cookies of a person's, need not.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin != config.origin:
        raise Forbidden("This request comes from another site")
