"""A store on the same machine, reached by a Unix socket: the permissions of its folder say whose store it is.

The requests are those of the TCP endpoint, with its name in the Host header, so signatures are the same.
"""

import http.client
import socket


def connect(path: str, timeout: float | None) -> socket.socket:
    """A connected socket. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


class UnixConnection(http.client.HTTPConnection):
    """A connection to the socket at `path`; `host` and `port` only name the server in requests."""

    def __init__(self, path: str, host: str, port: int | None, *, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = connect(self._path, self.timeout)
