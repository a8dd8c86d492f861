"""The gateway's open connections: how many there may be, which of them give way, and the clock that they share."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter

from local.limits import Limits
from local.rate import clients_of, is_within
from local.refusals import BUSY, CONNECTIONS, Refusal, Tally

TICK_SECONDS = 0.5
"""How often connections are looked at: a time limit holds to within so much."""
_REFUSED_KEPT = 256
"""Refused connections that may linger at a time; more are closed at once."""


class Watched(ABC):
    """A connection as seen from here."""

    @abstractmethod
    def check(self, now: float) -> None:
        """Act on every time limit that has passed."""

    @abstractmethod
    def holds_body(self) -> bool:
        """Whether a part of an incomplete body is in memory."""

    @abstractmethod
    def give_way(self) -> None:
        """Refuse what is incomplete and close: others need its place. It is forgotten already."""


class Connections:
    """All connections of one server. Its methods are called on the event loop.

    `limits.connections` must be set. `now` is the loop's time, at most one tick old: reading the clock for each
    packet would cost more.
    """

    def __init__(self, limits: Limits, tally: Tally) -> None:
        assert limits.connections is not None
        self.limits = limits
        self.tally = tally
        self.now = 0.0
        self._most = limits.connections
        self._shared = tuple(limits.shared)
        self._open: dict[Watched, str] = {}
        """With the address of each."""
        self._refused: set[Watched] = set()
        self._per_client: Counter[str] = Counter()
        # Those that may give way, the one that waits for longest first.
        self._new: dict[Watched, None] = {}
        self._idle: dict[Watched, None] = {}
        self._receiving: dict[Watched, None] = {}
        self._ticking = False

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, connection: Watched, address: str) -> Refusal | None:
        """Take up a new connection, or say why not. Another one gives way if it must."""
        self._tick_on()
        if self._has_enough(address):
            return CONNECTIONS
        if len(self._open) >= self._most and not self._make_room():
            return BUSY
        self._open[connection] = address
        self._per_client.update(client for client, _ in clients_of(address))
        self._new[connection] = None
        return None

    def keep_refused(self, connection: Watched) -> bool:
        """Whether a connection that was refused may stay until it has read the answer."""
        if len(self._refused) >= _REFUSED_KEPT:
            return False
        self._refused.add(connection)
        return True

    def leave(self, connection: Watched) -> None:
        """Forget a connection that is closed, or is being closed."""
        self._refused.discard(connection)
        self.is_busy(connection)
        address = self._open.pop(connection, None)
        if address is None:
            return
        for client, _ in clients_of(address):
            self._per_client[client] -= 1
            if not self._per_client[client]:
                del self._per_client[client]

    def is_busy(self, connection: Watched) -> None:
        """A request of it is being answered: it gives way to no other."""
        self._new.pop(connection, None)
        self._idle.pop(connection, None)
        self._receiving.pop(connection, None)

    def is_receiving(self, connection: Watched) -> None:
        """It waits for a body, of which a piece has just arrived."""
        self.is_busy(connection)
        if connection in self._open:
            self._receiving[connection] = None

    def is_idle(self, connection: Watched) -> None:
        """Its last request is answered."""
        if connection in self._open:
            self._idle[connection] = None

    def free_body(self, newcomer: Watched) -> bool:
        """Let the connection give way whose body has made no progress for longest; False if none can."""
        for victim in self._receiving:
            if victim is not newcomer and victim.holds_body():
                self._give_way(victim)
                return True
        return False

    def _has_enough(self, address: str) -> bool:
        most = self.limits.connections_per_client
        if not most or all(self._per_client[client] < most * clients for client, clients in clients_of(address)):
            return False
        return not is_within(address, self._shared)

    def _make_room(self) -> bool:
        for waiting in (self._new, self._idle, self._receiving):
            if waiting:
                victim = next(iter(waiting))
                self._give_way(victim)
                return True
        return False

    def _give_way(self, victim: Watched) -> None:
        self.leave(victim)
        victim.give_way()
        self.tally.count("gave way")

    def _tick_on(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        if not self._ticking:
            self._ticking = True
            loop.call_later(TICK_SECONDS, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time()
        for connection in (*self._open, *self._refused):
            connection.check(self.now)
        self.tally.report(self.now)
        if self._open or self._refused:
            loop.call_later(TICK_SECONDS, self._tick, loop)
        else:
            self._ticking = False
