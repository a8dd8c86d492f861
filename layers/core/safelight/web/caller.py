"""Which address a request comes from, as every limit and statistic of the product sees it."""

import json
import os
from functools import lru_cache

from fastapi import Request

from safelight.config import settings
from safelight.web.forwarded import Proxies

# API Gateway's request context as JSON (documented in "Request & Lambda Context" of the Web Adapter's guide). The
# adapter puts it in place of whatever a client sent under this name: `HeaderMap::insert` in `fetch_response` of its
# src/lib.rs, "Override user-set x-amzn-{lambda,request}-context headers to prevent spoofing (#286)" in its changelog.
REQUEST_CONTEXT = "x-amzn-request-context"


def address(request: Request) -> str | None:
    """The client's address, None when there is none. What `Proxies.client` makes of the connection's other end.

    Behind the Lambda Web Adapter every connection comes from the same machine, and the request context names the other
    end. Anywhere else a client could have written that header, so it is not looked at.
    """
    peer = request.client.host if request.client else None
    if behind_adapter():
        peer = _source_ip(request.headers.getlist(REQUEST_CONTEXT)) or peer
    return proxies().client(peer, request.headers.raw)


@lru_cache(maxsize=1)
def proxies() -> Proxies:
    """The proxies that the settings name."""
    configured = settings()
    return Proxies(configured.trusted_proxies, configured.origin_secrets)


@lru_cache(maxsize=1)
def behind_adapter() -> bool:
    """Whether this process is a web server that the Lambda Web Adapter calls, and nobody else can reach."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ and "AWS_LWA_PORT" in os.environ


def _source_ip(contexts: list[str]) -> str | None:
    if len(contexts) != 1:
        return None
    try:
        found = json.loads(contexts[0])["identity"]["sourceIp"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) and found else None
