"""An object store that misbehaves on request: a real socket, scripted answers."""

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Faulty"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, body))
        script = self.server.script
        act = script.pop(0) if len(script) > 1 else script[0]
        getattr(self, f"_{act}")()

    do_GET = do_HEAD = do_PUT = do_POST = _answer  # noqa: N815 - the names that http.server calls

    def _reply(self, status: int, content: bytes = b"", length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.send_header("ETag", '"e"')
        self.send_header("Last-Modified", "Fri, 20 Nov 2026 22:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _error(self, status: int, code: str) -> None:
        self._reply(status, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode())

    def _ok(self) -> None:
        self._reply(200, b"" if self.command == "PUT" else b"picture")

    def _gone_afterwards(self) -> None:
        """Answer well, then close the kept connection: what a client finds after a freeze."""
        self._ok()
        self.close_connection = True

    def _slow_down(self) -> None:
        self._error(503, "SlowDown")

    def _internal(self) -> None:
        self._error(500, "InternalError")

    def _request_timeout(self) -> None:
        self._error(400, "RequestTimeout")

    def _forbidden(self) -> None:
        self._error(403, "AccessDenied")

    def _not_implemented(self) -> None:
        self._error(501, "NotImplemented")

    def _changed(self) -> None:
        self._error(412, "PreconditionFailed")

    def _copied(self) -> None:
        self._reply(200, b'<CopyObjectResult><ETag>"of the copy"</ETag></CopyObjectResult>')

    def _some_remain(self) -> None:
        self._reply(200, b"<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code></Error></DeleteResult>")

    def _some_are_busy(self) -> None:
        self._reply(200, b"<DeleteResult><Error><Key>b</Key><Code>InternalError</Code></Error></DeleteResult>")

    def _silent(self) -> None:
        self.server.ended.wait(10)
        self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _cut(self) -> None:
        """Half of the promised body, then the end of the connection."""
        self._reply(200, b"half", length=8)
        self.close_connection = True

    def finish(self) -> None:
        if self.connection.fileno() != -1:
            super().finish()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Faulty(ThreadingHTTPServer):
    """Each request takes the next act of `script`; the last one stays."""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self._scheme = "http" if tls is None else "https"
        self.script = ["ok"]
        self.requests: list[tuple[str, str, bytes]] = []
        self.ended = threading.Event()

    @property
    def endpoint(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """A client that gave up is what these tests are about."""


@contextmanager
def faulty(tls: ssl.SSLContext | None = None) -> Iterator[Faulty]:
    server = Faulty(tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
