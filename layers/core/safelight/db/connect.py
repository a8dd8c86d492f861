"""Parameters and sockets for pg8000, shared by both ways into Postgres."""

import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pg8000.exceptions import Error
from scramp import ScramException

from safelight.errors import Unavailable

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
SCRAM = "scram-sha-256"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a database is and who asks.

    As in libpq, `sslmode` is `disable`, `require` or `verify-full`, and `require_auth` is `scram-sha-256` or None: the
    server must authenticate itself.
    """

    host: str
    port: int
    database: str
    user: str
    password: str
    sslmode: str
    sslrootcert: str | None
    require_auth: str | None

    @classmethod
    def parse(cls, url: str) -> "Target":
        """From `postgresql://user:password@host:port/database?sslmode=…`. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme.partition("+")[0] not in ("postgresql", "postgres") or not parts.hostname:
            raise ValueError("DATABASE_URL must look like postgresql://user:password@host:5432/database")
        query = parse_qs(parts.query)
        require_auth = query.get("require_auth", [None])[0]
        if require_auth not in (None, SCRAM):
            raise ValueError(f"DATABASE_URL: require_auth can only be {SCRAM}")
        return cls(
            host=parts.hostname,
            port=parts.port or 5432,
            database=unquote(parts.path.lstrip("/")) or "postgres",
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            sslmode=query.get("sslmode", ["disable"])[0],
            sslrootcert=query.get("sslrootcert", [None])[0],
            require_auth=require_auth,
        )


@lru_cache(maxsize=4)
def _tls(sslmode: str, sslrootcert: str | None) -> ssl.SSLContext:
    # Loading one authority instead of the system's bundle saves about 25 ms of a cold start.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if sslmode == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif sslrootcert:
        context.load_verify_locations(sslrootcert)
    else:
        context.load_default_certs()
    return context


def arguments(target: Target) -> dict[str, Any]:
    """Keyword arguments for a pg8000 `Connection` with `Mutual` mixed in, with a fresh socket of ours in them.

    TCP_NODELAY because the handshake otherwise waits 40 ms for a delayed ACK; an explicit `False` for TLS because
    pg8000 takes None to mean "try, with the system's certificates".
    """
    sock = socket.create_connection((target.host, target.port), CONNECT_TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A timeout stays on the socket: a frozen function that thaws on a dead connection must notice.
    sock.settimeout(30.0)
    return {
        "user": target.user,
        "password": target.password,
        "host": target.host,
        "port": target.port,
        "database": target.database,
        "sock": sock,
        "ssl_context": False if target.sslmode == "disable" else _tls(target.sslmode, target.sslrootcert),
        "application_name": "safelight",
        "require_scram": target.require_auth == SCRAM,
    }


def connect[Connection](kind: Callable[..., Connection], url: str) -> Connection:
    """A new connection of this kind. Raises Unavailable when Postgres cannot be reached or turns us away."""
    target = Target.parse(url)
    try:
        return kind(**arguments(target))
    except (Error, OSError, ScramException, LookupError, ValueError) as error:
        # the last three are what a server that is not ours provokes in the driver
        log.warning("database not reachable", extra={"reason": str(error)})
        raise Unavailable(retry_after=2) from error
