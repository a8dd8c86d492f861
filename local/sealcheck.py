"""Ask the ports of a running store whether they turn away a client that has no certificate and no token."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path

import psutil

type Endpoint = int | Path
"""A TCP port of 127.0.0.1, or a Unix socket."""

_SECONDS = 10.0
_CERTIFICATE_DEMANDED = ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE")
# The client's preface and an empty SETTINGS frame (RFC 9113, 3.4): an open gRPC server answers with SETTINGS.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


class SealCheck:
    """The check of one start.

    The endpoints of `sealed` must demand a certificate and the port `volume` a token; `public`, if there is one, checks
    its clients itself.
    """

    def __init__(self, sealed: Iterable[Endpoint], volume: int, public: int | None) -> None:
        self._untested: list[Endpoint] = [*sealed, volume]
        self._known = {("127.0.0.1", port) for port in (public, *self._untested)}
        self._volume = volume
        self._public = public

    def open_endpoints(self) -> list[str]:
        """Newly reachable endpoints that serve a client without credentials."""
        found = []
        for endpoint in tuple(self._untested):
            try:
                if not (demands_token(self._volume) if endpoint == self._volume else is_sealed(endpoint)):
                    found.append(str(endpoint))
            except OSError:
                continue
            self._untested.remove(endpoint)
        return found

    def is_complete(self, pid: int) -> bool:
        """Whether all were tested, and the process itself listens on the public port."""
        return not self._untested and (self._public is None or ("127.0.0.1", self._public) in listening(pid))

    def unknown(self, pid: int) -> list[str]:
        """Further addresses on which the process listens."""
        return [f"{address}:{port}" for address, port in sorted(listening(pid) - self._known)]


def is_sealed(endpoint: Endpoint) -> bool:
    """Whether clear text gets no answer and TLS without a certificate an alert. Raises OSError when it is away."""
    return not _answers_clear_text(endpoint) and _refuses_handshake(endpoint)


def demands_token(port: int) -> bool:
    """Whether a volume server refuses to read, write and delete without a token. Raises OSError when it is away."""
    for method in ("GET", "PUT", "DELETE"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
        try:
            connection.request(method, "/1,0123456789ab", b"x" if method == "PUT" else None)
            if connection.getresponse().status != HTTPStatus.UNAUTHORIZED:
                return False
        except http.client.HTTPException:
            return False
        finally:
            connection.close()
    return True


def listening(pid: int) -> set[tuple[str, int]]:
    """Address and port of every TCP and UDP socket on which the process can be reached."""
    return {
        (connection.laddr.ip, connection.laddr.port)
        for connection in psutil.Process(pid).net_connections(kind="inet")
        if connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
    }


def _connect(endpoint: Endpoint) -> socket.socket:
    if isinstance(endpoint, int):
        return socket.create_connection(("127.0.0.1", endpoint), _SECONDS)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(_SECONDS)
    try:
        sock.connect(str(endpoint))
    except OSError:
        sock.close()
        raise
    return sock


def _answers_clear_text(endpoint: Endpoint) -> bool:
    for request in (_PREFACE, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
        with _connect(endpoint) as sock:
            sock.sendall(request)
            try:
                answer = sock.recv(64)
            except ConnectionError:
                continue
        # Go's HTTPS server says 400 to clear-text HTTP/1 before it closes; nothing was read or done.
        if answer and not answer.startswith(b"HTTP/1.0 400 "):
            return True
    return False


def _refuses_handshake(endpoint: Endpoint) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])  # a gRPC server refuses a client without h2, certificate or not
    with _connect(endpoint) as plain:
        try:
            with context.wrap_socket(plain) as sock:
                # In TLS 1.3 the refusal follows the handshake. An open server sends SETTINGS, or waits for a request.
                sock.recv(64)
        except ssl.SSLError as error:
            return error.reason in _CERTIFICATE_DEMANDED
        except TimeoutError:
            return False
    return False
