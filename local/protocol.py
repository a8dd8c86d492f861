"""The gateway's HTTP/1.1, with limits to what a client may send and how long it may take; uvicorn has none."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import struct
import termios
from functools import partial
from typing import Any, cast

from local.bodies import Bodies
from local.connections import Connections
from local.refusals import BUSY, HEADERS, PIPELINE, TARGET, TIMEOUT, Refusal
from local.refusing import Refusing


def protocol(connections: Connections, bodies: Bodies) -> type[asyncio.Protocol]:
    """The protocol of a server whose connections and bodies these are, in the form that uvicorn takes."""
    # It only calls what it is given, though it asks for a class.
    return cast("type[asyncio.Protocol]", partial(Connection, connections, bodies))


class _RefusedError(Exception):
    """Ends the parsing of a read."""


class _NoTrailers(list[tuple[bytes, bytes]]):
    """Takes trailer fields and drops them: they must not become headers of a request (RFC 9110 section 6.5.1)."""

    def append(self, _header: tuple[bytes, bytes]) -> None:
        """Drop it."""


_NO_TRAILERS = _NoTrailers()


class Connection(Refusing):
    """One client's connection within its limits."""

    def __init__(self, connections: Connections, bodies: Bodies, **options: Any) -> None:
        super().__init__(connections, bodies, **options)
        self.url = b""  # uvicorn sets it with the first byte of a request, before which a client may send line ends
        self._heard = 0.0
        self._head_since: float | None = None
        self._body_since = 0.0
        self._unreported = 0
        """Bytes given to the parser since it last reported a head, a piece of body or an end."""
        self._unsent = 0
        self._unsent_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take up the connection, or refuse it."""
        super().connection_made(transport)
        refusal = self._connections.enter(self, self.client[0] if self.client else "")
        self._heard = self._connections.now
        if refusal is not None:
            self._refuse_outside(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._connections.leave(self)
        for waiting, _app in self.pipeline:
            self._bodies.release(waiting)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a read, in pieces: the parser copies an unfinished header with every piece of it."""
        now = self._heard = self._connections.now
        if self._refused:
            self._throw_away(len(data))
            return
        if not self._in_body and self._head_since is None:
            self._head_since = now
        most = self._limits.head_bytes
        if len(data) <= most:
            self._feed(data)
            return
        for start in range(0, len(data), most):
            self._feed(data[start : start + most])
            if self._refused or self.transport.is_closing():
                return

    def on_message_begin(self) -> None:
        """A head begins, which may be in the middle of a read."""
        super().on_message_begin()
        if self._head_since is None:
            self._head_since = self._heard

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is over a limit."""
        refusal = self._head_over_limit()
        if refusal is not None:
            self._refuse(refusal)
            raise _RefusedError
        self._unreported = 0
        self._head_since = None
        self._body_since = self._heard
        super().on_headers_complete()
        self.headers = _NO_TRAILERS

    def on_body(self, body: bytes) -> None:
        """Only what is body counts as progress, not what frames it."""
        self._unreported = 0
        if not self._bodies.take(self, self.cycle, len(body)):
            self._refuse(BUSY)
            raise _RefusedError
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._unreported = 0
        super().on_message_complete()

    def check(self, now: float) -> None:
        """Act on every time limit that has passed; called with every tick."""
        unsent = self._unacknowledged()
        if not unsent or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since > self._limits.write_seconds:
            self._connections.tally.count("answer not read")
            self.transport.abort()
            return
        if self._reads_until is not None:
            if now > self._reads_until:
                self.transport.close()
        elif self.flow.read_paused:  # by this side: the client is not to blame
            self._heard = self._body_since = now
            self._head_since = None
        elif self._is_late(now):
            self._refuse(TIMEOUT)
        elif self._answering is None and now - self._heard > self._limits.head_seconds:
            # A browser connects ahead of need, and would take a 408 for the answer to its first request.
            self.transport.close()

    def holds_body(self) -> bool:
        """Whether a part of an incomplete body is in memory."""
        return self._bodies.has(self.cycle)

    def give_way(self) -> None:
        """Refuse what is incomplete and close, for another connection."""
        if self._in_body:
            self._bodies.release(self.cycle)
            self._refuse_outside(BUSY)
            return
        if self._head_since is not None and not self._refused:
            self._refused = True
            self.transport.write(BUSY.message(self.server_state.default_headers, head=False))
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _refuse_outside(self, refusal: Refusal) -> None:
        """Refuse without a place among the open connections."""
        lingers = self._connections.keep_refused(self)
        self._refuse(refusal)
        if not lingers:
            self.transport.close()

    def _feed(self, data: bytes) -> None:
        self._unreported += len(data)
        super().data_received(data)
        if self._unreported > self._limits.head_bytes:
            long_target = not self._in_body and not self.headers and len(self.url) > self._limits.target_bytes
            self._refuse(TARGET if long_target else HEADERS)
        elif self._in_body:
            self.cycle.transport = self._transport_of_answer  # type: ignore[assignment]  # it has what an answer uses

    def _unacknowledged(self) -> int:
        """Bytes of answers that the client has not taken; 0 once all are in the kernel's hands.

        The kernel asks for more only when a third of its buffer is free, which takes a slow client minutes. Its own
        count shows every byte that the client takes (tcp(7), SIOCOUTQ).
        """
        waiting = self.transport.get_write_buffer_size()
        connected = self.transport.get_extra_info("socket")
        if waiting and connected is not None:
            with contextlib.suppress(OSError):  # not every system counts
                (queued,) = struct.unpack("i", fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4)))
                return int(waiting + queued)
        return waiting

    def _head_over_limit(self) -> Refusal | None:
        limits = self._limits
        if len(self.url) > limits.target_bytes:
            return TARGET
        if len(self.headers) > limits.header_count:
            return HEADERS
        # The head is as long as what was not reported yet at most; it is only measured where that is too long.
        if self._unreported > limits.head_bytes:
            line = len(self.parser.get_method()) + len(self.url) + len(b"  HTTP/1.1\r\n\r\n")
            exact = line + sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)
            if exact > limits.head_bytes:
                return HEADERS
        return PIPELINE if len(self.pipeline) >= limits.pipelined else None

    def _is_late(self, now: float) -> bool:
        limits = self._limits
        if self._in_body:
            if self._answering is self.cycle and self.cycle.response_started:
                return False
            allowed = self._body_since + limits.body_seconds + self._received / limits.body_rate
            return now > min(allowed, self._heard + limits.body_seconds)
        return self._head_since is not None and now - self._head_since > limits.head_seconds
