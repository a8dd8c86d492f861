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
    """Whether a browser says so.

    Ours is what lies where `base_url` says, and what lies on the very host that is asked, under whichever of its names:
    cookies belong to the host that set them, and no page can make a browser name another host than the one it calls
    (Fetch Standard, "forbidden request-header"). Whoever could send any header has no cookie of a person's.
    """
    origins, fetched = request.headers.getlist("origin"), request.headers.getlist("sec-fetch-site")
    # A browser says where from, even where it leaves out the origin (W3C Fetch Metadata); programs send neither.
    if any(site in ("cross-site", "same-site") for site in fetched) and not origins:
        return True
    if all(origin == config.origin for origin in origins):
        return False
    # A browser compares with the address that it called, which a proxy in between may have replaced in Host.
    if fetched == ["same-origin"]:
        return False
    # Not by another scheme: who can write into plain HTTP would speak for the same host over HTTPS.
    scheme, hosts = config.origin.partition("://")[0], request.headers.getlist("host")
    return len(hosts) != 1 or any(origin != f"{scheme}://{hosts[0].lower()}" for origin in origins)
