"""What a client may do to the local gateway, and how many files the process may open."""

from __future__ import annotations

import dataclasses
import resource
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

KIB = 1024
FILES = 10_240
"""Open files to ask the kernel for: as many as macOS gives a process (OPEN_MAX in its sys/syslimits.h)."""
RESERVED_FILES = 256
"""Open files that are no connections: Postgres (two pools of up to 50), logs, modules, the kernel's own."""

_VARIABLES = {
    "REQUESTS_PER_SECOND": "requests_per_second",
    "REQUESTS_BURST": "requests_burst",
    "CONNECTIONS_PER_CLIENT": "connections_per_client",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the gateway. Times are seconds, sizes are bytes.

    A client is an IPv4 address or an IPv6 network of 64 bits; one of 48 bits has the limits of eight.
    """

    head_bytes: int = 32 * KIB
    """Request line and headers: as much as nginx reads (large_client_header_buffers 4 8k). API Gateway takes 10,240."""
    header_count: int = 100
    """As Apache (LimitRequestFields)."""
    target_bytes: int = 8 * KIB
    """The request target. RFC 9110 section 4.1 asks for 8,000 at least."""
    head_seconds: float = 10
    """From a request's first byte to the end of its head; also from the connection's start to the first byte."""
    body_seconds: float = 30
    """Between two bytes of a body, and for the body as a whole before `body_rate` counts."""
    body_rate: int = 4 * KIB
    """Bytes a second that a body must reach after `body_seconds`: 10 MB may take 42 minutes."""
    write_seconds: float = 60
    """How long a client may read nothing before it is cut off. A ZIP can be resumed."""
    keep_alive_seconds: int = 65
    """Between two requests of a connection. Longer than 60, after which most load balancers give up theirs."""
    linger_seconds: float = 2
    """How long the gateway reads on after it refused a request: closing at once could destroy the answer."""
    linger_bytes: int = 16 * 1024 * KIB
    """How much it reads on: a proxy sends a whole body that it has buffered, and loses the answer to a reset."""
    bodies_bytes: int = 64 * 1024 * KIB
    """Request bodies in memory, of all connections together; at least the largest body that a route takes."""
    pipelined: int = 32
    """Requests of one connection that wait for the answer to an earlier one."""
    connections: int | None = None
    """Open connections; None: as many as the file limit allows."""
    connections_per_client: int = 256
    """0: no limit."""
    requests_per_second: float = 100
    """Sustained requests of one client; 0: no limit."""
    requests_burst: int = 1000
    """Requests that a client may send at once after a pause."""
    shared: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks whose addresses stand for many clients each: the trusted proxies, or this machine where none is named.

    They have no limit of connections for each client, because idle connections are closed when new ones need room.
    """
    shared_by: int = 10
    """Such an address may send the requests of so many clients, as far as it does not say whose they are."""
    clients_remembered: int = 10_000
    """Clients whose requests are counted at a time; then the one that was not heard of for longest is forgotten."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """The defaults, changed by variables; an empty value counts as not set. Raises ValueError."""
        kinds = {"requests_per_second": float}
        given: dict[str, float] = {}
        for variable, name in _VARIABLES.items():
            text = environment.get(variable, "")
            if not text:
                continue
            try:
                given[name] = kinds.get(name, int)(text)
            except ValueError:
                raise ValueError(f"{variable} is {text!r}. Set it to a number.") from None
            least = 1 if name == "requests_burst" else 0
            if not least <= given[name] < float("inf"):
                raise ValueError(f"{variable} is {text}. Set it to {least} or more.")
        return dataclasses.replace(cls(), **given)  # type: ignore[arg-type]  # each value has its field's type

    def behind(self, proxies: Collection[object]) -> Self:
        """The same behind the proxies of these networks; unchanged where there are none."""
        return dataclasses.replace(self, shared=tuple(map(str, proxies))) if proxies else self

    def with_files(self, files: int) -> Self:
        """The same with a number of connections, given the file limit.

        A download has a connection of the client and one or more of the store: half of the files are for each.
        """
        if self.connections is not None:
            return self
        return dataclasses.replace(self, connections=max(16, (files - RESERVED_FILES) // 2))


def raise_file_limit(wanted: int = FILES) -> int:
    """Raise the soft limit of open files towards the hard one, to `wanted` at most; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    reachable = wanted if hard == unlimited else min(wanted, hard)
    if soft != unlimited and soft < reachable:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
        soft = reachable
    return wanted if soft == unlimited else soft
