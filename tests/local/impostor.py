"""Servers on ports that the stack remembers, which note every byte that they receive."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator

AUTHENTICATION = b"R"
SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class Impostor:
    """A server on a port of 127.0.0.1; `received` holds the bytes of each connection."""

    def __init__(self, port: int, answer: Callable[[socket.socket, list[bytes]], None]) -> None:
        self.received: list[list[bytes]] = []

        class Handler(socketserver.BaseRequestHandler):
            def handle(handler) -> None:  # noqa: N805 - `self` is the impostor
                heard: list[bytes] = []
                self.received.append(heard)
                handler.request.settimeout(10)
                with contextlib.suppress(OSError, ValueError):
                    answer(handler.request, heard)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])

    @property
    def bytes(self) -> bytes:
        """All that was received."""
        return b"".join(part for heard in self.received for part in heard)


@contextlib.contextmanager
def impostor(answer: Callable[[socket.socket, list[bytes]], None], port: int = 0) -> Iterator[Impostor]:
    """A running one."""
    made = Impostor(port, answer)
    thread = threading.Thread(target=made._server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        made._server.shutdown()
        made._server.server_close()
        thread.join()


def listen_only(connection: socket.socket, heard: list[bytes]) -> None:
    """Say nothing."""
    while part := connection.recv(65536):
        heard.append(part)


def postgres(*answers: bytes) -> Callable[[socket.socket, list[bytes]], None]:
    """A server that answers the first messages of a client with these, whatever they say."""

    def talk(connection: socket.socket, heard: list[bytes]) -> None:
        refuse_tls(connection, heard)
        for answer in answers:
            connection.sendall(answer)
            heard.append(connection.recv(65536))
        listen_only(connection, heard)

    return talk


def refuse_tls(connection: socket.socket, heard: list[bytes]) -> None:
    """Read the client's first message, which may come after the question whether there is TLS."""
    heard.append(connection.recv(65536))
    if heard[0] == SSL_REQUEST:
        connection.sendall(b"N")
        heard.append(connection.recv(65536))


def message(kind: bytes, body: bytes) -> bytes:
    """One message of Postgres's protocol."""
    return kind + struct.pack("!i", len(body) + 4) + body


OK = message(AUTHENTICATION, struct.pack("!i", 0))
READY = message(b"Z", b"I")
CLEAR_TEXT = message(AUTHENTICATION, struct.pack("!i", 3))
MD5 = message(AUTHENTICATION, struct.pack("!i", 5) + b"salt")
SCRAM = message(AUTHENTICATION, struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0")


def scram_without_password(connection: socket.socket, heard: list[bytes]) -> None:
    """Go through SCRAM without the password: the signature at its end cannot be right."""
    refuse_tls(connection, heard)
    connection.sendall(SCRAM)
    heard.append(connection.recv(65536))
    nonce = heard[-1].partition(b"r=")[2]
    first = b"r=" + nonce + b"theirs,s=c2FsdHNhbHRzYWx0,i=4096"
    connection.sendall(message(AUTHENTICATION, struct.pack("!i", 11) + first))
    heard.append(connection.recv(65536))
    final = b"v=" + b"A" * 43 + b"="
    connection.sendall(message(AUTHENTICATION, struct.pack("!i", 12) + final) + OK + READY)
    listen_only(connection, heard)
