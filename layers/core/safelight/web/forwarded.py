"""Whose request a proxy hands on: the one decision about a client's address (docs/decisions/0014)."""

import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from safelight.addresses import Network, parse, within
from safelight.config import Settings

# Raw headers, as ASGI has them: names in lower case.
type Headers = Iterable[tuple[bytes, bytes]]

SECRET = b"x-origin-secret"
"""The header by which CloudFront proves that a request came through it."""
VIEWER = b"cloudfront-viewer-address"
"""Address and port of CloudFront's client; an IPv6 address has no brackets."""
_FOR, _FORWARDED = b"x-forwarded-for", b"forwarded"
_READ = frozenset({SECRET, VIEWER, _FOR, _FORWARDED})

HOPS = 32
"""Proxies in a row that are looked at; a longer chain of trusted ones ends there."""
LONGEST = 64
"""Characters of a hop that are read; no address has more."""
# A parameter of Forwarded (RFC 7239 section 4) whose value has no escapes, which no address needs.
_PARAMETER = re.compile(r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"([^"\\]*)"|([^\s",;]*))\s*""")


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies whose word about a client is believed.

    Args:
        networks: Where they connect from.
        secrets: Values of the header `x-origin-secret`, any of which proves that CloudFront sends the request.
    """

    networks: tuple[Network, ...] = ()
    secrets: tuple[bytes, ...] = ()

    def client(self, peer: str | None, headers: Headers) -> str | None:
        """The address of the client, given that of the connection's other end; None if that is None.

        Through CloudFront it is what CloudFront says. Otherwise it is the right-most address of X-Forwarded-For that is
        no trusted proxy's, or of Forwarded where there is no X-Forwarded-For; the left-most one if all are. A hop that
        is no address (`unknown`, `_hidden`, garbage) is not looked behind: the request is its sender's.

        What a client wrote into these headers stands left of its own address, which a trusted proxy wrote. Applied to
        its own result and the same headers, this gives that result again: the local gateway and its functions agree.
        """
        address = parse(peer)
        if address is None or not (self.networks or self.secrets):
            return peer if address is None else str(address)
        found: dict[bytes, list[str]] = {}
        for name, value in headers:
            if name in _READ:
                found.setdefault(name, []).append(value.decode("latin-1"))
        viewer = self._viewer(found)
        if viewer is not None:
            return viewer
        if within(address, self.networks):
            for hop in _hops(found):
                forwarded = parse(hop)
                if forwarded is None:
                    break
                address = forwarded
                if not within(address, self.networks):
                    break
        return str(address)

    def _viewer(self, found: dict[bytes, list[str]]) -> str | None:
        given, viewers = found.get(SECRET, []), found.get(VIEWER, [])
        if len(given) != 1 or len(viewers) != 1:
            return None
        # All are compared, in constant time each, so that the time reveals nothing about any.
        if not any([hmac.compare_digest(given[0].encode("latin-1"), secret) for secret in self.secrets]):  # noqa: C419 - any() of a generator would stop at the first
            return None
        viewer = parse(viewers[0].rpartition(":")[0].strip("[]"))
        return None if viewer is None else str(viewer)


def warning(configured: Settings) -> str | None:
    """What is wrong where others reach a server of one's own and no proxy is named, and what to do."""
    if not configured.is_public or configured.trusted_proxies or configured.origin_secrets:
        return None
    return (
        f"BASE_URL is {configured.base_url}, but TRUSTED_PROXIES is not set. Behind a proxy, all visitors would share"
        " its address: one person guessing passwords would lock everybody out, and limits and statistics would treat"
        " all visitors as one."
        " Set TRUSTED_PROXIES to the proxy's address (127.0.0.1 for a proxy on this machine). See docs/operations.md,"
        " Behind a proxy."
    )


def _hops(found: dict[bytes, list[str]]) -> Iterator[str]:
    """What the proxies wrote, the last one first. Several lines of a header are one list (RFC 9110 section 5.3)."""
    lines, read = (found[_FOR], str.strip) if _FOR in found else (found.get(_FORWARDED, []), _for)
    seen = 0
    for line in reversed(lines):
        for element in _backwards(line):
            if not element.strip():
                continue  # an empty element counts as none (RFC 9110 section 5.6.1)
            seen += 1
            if seen > HOPS:
                return
            yield _host(read(element))[:LONGEST]


def _backwards(line: str) -> Iterator[str]:
    """The elements of a list, the last one first: what stands left, such as an open quote, cannot hide them."""
    stop, quoted = len(line), False
    for place in range(len(line) - 1, -1, -1):
        if line[place] == '"':
            quoted = not quoted
        elif line[place] == "," and not quoted:
            yield line[place + 1 : stop]
            stop = place
    yield line[:stop]


def _for(element: str) -> str:
    """The value of the only parameter `for`; empty where there is none, or the element is not well-formed."""
    found = []
    for part in element.split(";"):
        parameter = _PARAMETER.fullmatch(part)
        if parameter is None:
            return ""
        if parameter[1].lower() == "for":
            found.append(parameter[2] or parameter[3] or "")
    return found[0] if len(found) == 1 else ""


def _host(node: str) -> str:
    """Without brackets and port: `[2001:db8::1]:4711`, `192.0.2.1:4711`, `2001:db8::1`."""
    if node.startswith("["):
        return node[1:].partition("]")[0]
    return node.partition(":")[0] if node.count(":") == 1 else node
