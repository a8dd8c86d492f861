"""HTTP/1.1 by uvicorn, able to refuse a request at any point of it so that the client reads why.

uvicorn writes its 400 into the middle of another answer, and closes connections with bytes unread. The kernel then
resets them, which can destroy the answer before the client has read it (RFC 9112 section 9.6).
"""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from local.bodies import Bodies
from local.connections import Connections, Watched
from local.refusals import MALFORMED, Refusal


class Refusing(HttpToolsProtocol, Watched):
    """One client's connection.

    It waits for a head, receives a body, answers, or has refused a request (`_refused`) and reads on for a moment.
    """

    def __init__(self, connections: Connections, bodies: Bodies, **options: Any) -> None:
        super().__init__(**options)
        self._bodies = bodies
        self._connections = connections
        self._limits = connections.limits
        self._transport_of_answer = _Lingering(self)
        self._answering: RequestResponseCycle | None = None
        self._in_body = False
        self._received = 0
        """Bytes of the body."""
        self._refused = False
        self._reads_until: float | None = None
        """While what arrives is thrown away: when that ends."""
        self._reads_left = 0

    def on_headers_complete(self) -> None:
        """Start the request."""
        super().on_headers_complete()  # it raises for a target that it cannot read
        self._in_body = True
        self._received = 0
        self._note_progress()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # the parser takes what follows in this read for another protocol

    def on_body(self, body: bytes) -> None:
        """Hand it to the application."""
        self._received += len(body)
        self._note_progress()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_body = False
        self._connections.is_busy(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the next request that waits, or wait for one."""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if not self._is_answering():
            self._connections.is_idle(self)
        elif self._in_body:
            self._note_progress()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Called by uvicorn for what the parser does not take."""
        self._refuse(MALFORMED)

    def end_answer(self) -> None:
        """The answer is sent and the connection is to be closed, with or without the rest of the request."""
        if self._in_body and not self._refused:
            self._linger()
        else:
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        run: Any = self._accounted(_closing_early(app, cycle), cycle)  # uvicorn has types of its own for ASGI
        super()._start_asgi_task(cycle, run)

    def _accounted(self, app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
        """The application, after which nothing holds the request's body any more."""

        async def run(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            finally:
                self._bodies.release(cycle)

        return run

    def _note_progress(self) -> None:
        """Only a connection that waits for nothing but the body may give way."""
        if self._answering is self.cycle and not self.cycle.response_started:
            self._connections.is_receiving(self)
        else:
            self._connections.is_busy(self)

    def _is_answering(self) -> bool:
        return self._answering is not None and not self._answering.response_complete

    def _refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal and close; while earlier requests are being answered, close after those."""
        if self._refused or self.transport.is_closing():
            return
        self._connections.tally.count(f"{refusal.status} {refusal.code}")
        self._refused = True
        self._reads_left = self._limits.linger_bytes
        answering = self._answering
        if answering is not None and not answering.response_complete:
            if not self._in_body or answering is not self.cycle or answering.response_started:
                self._close_after_answers(answering)
                return
            answering.disconnected = True
            answering.message_event.set()
        head = bool(self.scope) and self.parser.get_method() == b"HEAD"
        self.transport.write(refusal.message(self.server_state.default_headers, head=head))
        self._linger()

    def _close_after_answers(self, answering: RequestResponseCycle) -> None:
        if self._in_body and self.pipeline:
            self._bodies.release(self.pipeline.popleft()[0])  # the refused request itself
        last = self.pipeline[0][0] if self.pipeline else answering
        last.keep_alive = False

    def _linger(self) -> None:
        """Send no more, but read on for a moment, so that the answer arrives."""
        self._refused = True
        while self.pipeline:
            self._bodies.release(self.pipeline.pop()[0])
        self._connections.is_idle(self)
        self._reads_until = self._connections.now + self._limits.linger_seconds
        self._reads_left = self._limits.linger_bytes
        self.flow.resume_reading()
        if not self.transport.is_closing():
            self.transport.write_eof()

    def _throw_away(self, size: int) -> None:
        self._reads_left -= size
        if self._reads_left >= 0:
            return
        if self._reads_until is None:
            self.flow.pause_reading()  # an answer is under way: nothing more is read until it ends
        else:
            self.transport.close()


def _closing_early(app: Any, cycle: RequestResponseCycle) -> ASGIApp:
    """The application, whose answer closes the connection if it starts before the request has arrived."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_closing(message: Message) -> None:
            if cycle.more_body and not cycle.response_started:
                cycle.keep_alive = False
            await send(message)

        await app(scope, receive, send_closing)

    return run


class _Lingering:
    """The transport of an answer that may end before its request has arrived."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Refusing) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        """Send it."""
        self._connection.transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._connection.transport.is_closing()

    def close(self) -> None:
        """Close after what is sent, and not before the client had a chance to read it."""
        self._connection.end_answer()
