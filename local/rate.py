"""How many requests each client sends, and which of them are too many."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_network

from safelight.addresses import SITE_CLIENTS, groups, parse, within


@lru_cache(maxsize=4096)
def clients_of(address: str) -> tuple[tuple[str, int], ...]:
    """Whom an address stands for, and how many clients' limits each of them has: see `addresses.groups`."""
    return tuple(zip(groups(address), (1, SITE_CLIENTS), strict=False))


@lru_cache(maxsize=4096)
def is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address lies in one of these networks."""
    ip = parse(address)
    return ip is not None and within(ip, map(ip_network, networks))


class Rate:
    """A token bucket for each client, kept as the time when it will be full (GCRA, ITU-T I.371).

    Args:
        per_second: Requests of one client that refill its bucket each second.
        burst: Requests that a full bucket holds.
        remembered: Clients kept at a time. The one heard of longest ago is forgotten, which fills its bucket.
    """

    def __init__(self, per_second: float, burst: int, remembered: int) -> None:
        self._interval = 1 / per_second
        self._burst = burst
        self._remembered = remembered
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, client: str, now: float, share: int = 1) -> float:
        """Take one token: 0, or the seconds until there is one. `share`: this client counts as so many."""
        interval = self._interval / share
        full_at = max(self._full_at.pop(client, now), now)
        wait = full_at - now - (self._burst * share - 1) * interval
        # Rounding must refuse no request that the burst allows.
        allowed = wait <= interval / 1000
        self._full_at[client] = full_at + interval if allowed else full_at
        if len(self._full_at) > self._remembered:
            del self._full_at[next(iter(self._full_at))]
        return 0.0 if allowed else wait

    def wait_for_address(self, address: str, now: float, share: int = 1) -> float:
        """Take one token of each client that the address stands for: 0, or the seconds until there is one.

        The smallest comes first, so that what it is refused uses up nothing of its neighbours'.
        """
        for client, clients in clients_of(address):
            if wait := self.wait(client, now, share * clients):
                return wait
        return 0.0
