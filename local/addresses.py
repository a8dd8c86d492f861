"""Ports and origins that the environment names, and the socket that the gateway listens on."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from local.process import StartError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK = ("127.0.0.1", "localhost")


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, as a browser sends them: lower case, no default port (RFC 6454)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def origins_of(url: str) -> list[str]:
    """The origins of the product's own pages: that of the URL, and for this machine also its other name."""
    own = origin_of(url)
    parts = urlsplit(own)
    if parts.hostname not in _LOOPBACK:
        return [own]
    port = "" if parts.port is None else f":{parts.port}"
    return [own, *(other for name in _LOOPBACK if (other := f"{parts.scheme}://{name}{port}") != own)]


def wanted_port(environment: Mapping[str, str], name: str) -> int | None:
    """The port that a variable names; None when it is not set. Raises StartError."""
    text = environment.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise StartError(f"{name} is {text!r} and no port. Set a number from 1 to 65535.")
    return int(text)


def listen(port: int) -> socket.socket:
    """The listening socket, held by the supervisor so that a restart of the gateway refuses nobody.

    Raises StartError when the port is taken.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise StartError(
            f"Port {port} of 127.0.0.1 cannot be used ({error.strerror}). Choose another: PORT={port + 1} make up"
        ) from None
    listener.listen(2048)
    return listener
