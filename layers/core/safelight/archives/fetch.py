"""Ranged GETs from the object store into blocks: pooled, with If-Match, retried from the byte where a read broke."""

import asyncio
import random
import re
import ssl
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from safelight.archives.block import Block
from safelight.archives.connection import Connection, Head, Interrupted
from safelight.archives.plan import Entry
from safelight.errors import ObjectChanged, ObjectMissing, ObjectTruncated, StorageUnavailable

DISTANT = 0.008
"""Seconds to the first byte from which on a store is distant, as S3 is (10 to 100 ms): a busy neighbour is not."""

_KIB = 1024
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")
_URL = re.compile(r"(https?)://(\[[0-9a-fA-F:.]+\]|[^/:\[\]\s]+)(?::(\d+))?(/[!-~]*)")
_ETAG = re.compile(r'"[!#-~]*"')

type Sign = Callable[[str], str]
type _Origin = tuple[str, str, int]


class Fetcher:
    """Reads objects of one store; for one event loop at a time.

    `sign` turns a key into a presigned GET URL and is asked for every request, so that its answers can be young.
    `connections` is the most that are open; a store that answers fast is kept on `few`, because more of them only
    cost. `patience`: seconds that the store may be silent. `attempts`: requests per block, the first included.
    `socket`: path of a Unix socket that leads to the store.
    """

    def __init__(
        self,
        sign: Sign,
        *,
        connections: int = 64,
        few: int = 4,
        patience: float = 10.0,
        attempts: int = 5,
        pause: float = 0.05,
        tls: ssl.SSLContext | None = None,
        socket: str | None = None,
    ) -> None:
        self._sign = sign
        self._most = connections
        self._few = min(few, connections)
        self._limit = self._few
        self._latencies: deque[float] = deque(maxlen=16)
        self._patience = patience
        self._attempts = attempts
        self._pause = pause
        self._tls = tls
        self._socket = socket
        self._loop: asyncio.AbstractEventLoop | None = None
        self._busy = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._idle: dict[_Origin, list[Connection]] = {}

    @property
    def block_size(self) -> int:
        """How many bytes to ask for at once: fewer from a distant store, so that more requests are under way."""
        return 512 * _KIB if self._limit > self._few else 1024 * _KIB

    @property
    def ahead(self) -> int | None:
        """Most bytes worth reading ahead; None: as many as there is memory for, to hide how far away the store is.

        What a near store delivers should still be in the processor's cache, of a few MiB, when it is sent.
        """
        return None if self._limit > self._few else 2048 * _KIB

    def hurry(self) -> None:
        """A reader has been waiting for `DISTANT`: where no answer came faster, this store needs many connections."""
        if not self._latencies or min(self._latencies) >= DISTANT:
            self._limit = self._most
            self._wake()

    def _learn(self, latency: float) -> None:
        # The fastest of the last answers: the others tell how busy we are, and not how far away the store is.
        self._latencies.append(latency)
        if min(self._latencies) < DISTANT:
            self._limit = self._few
        else:
            self.hurry()

    async def fill(self, block: Block) -> None:
        """Read all of `block`.

        Raises ObjectMissing, ObjectChanged (another ETag or a longer object), ObjectTruncated (a shorter object, or
        one whose body ends early at the same byte again) or StorageUnavailable (all else, after the last attempt).
        """
        attempt, ended_at = 0, -1
        while True:
            position = block.position
            try:
                return await self._get(block)
            except Interrupted as error:
                attempt += 1
                # An object that lacks bytes ends where it ended before. A body that ended early once, after attempts
                # that failed otherwise, is a broken line: no reason to tell a photographer to upload again.
                again = error.ended and block.position == ended_at
                ended_at = block.position if error.ended else ended_at
                if attempt >= self._attempts:
                    if again:
                        raise ObjectTruncated(block.entry.key) from None
                    raise StorageUnavailable from error
                if block.position == position:
                    await asyncio.sleep(self._pause * 3 ** (attempt - 1) * random.uniform(0.5, 1))  # noqa: S311 - no secret

    async def close(self) -> None:
        """Close the idle connections; those at work end with the tasks that use them."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # the event loop closes the sockets in its next round

    async def _get(self, block: Block) -> None:
        origin, request = _request(self._sign(block.entry.key), block)
        accept = partial(_accept, block.entry, block.position, block.stop)
        await self._enter()
        try:
            while True:
                connection, fresh = self._reuse(origin), False
                if connection is None:
                    connection, fresh = await self._connect(origin), True
                try:
                    await connection.get(request, block, accept, self._patience)
                    break
                except Interrupted as error:
                    # A kept connection that the store had given up says nothing about the store: take the next.
                    if fresh or not error.unanswered:
                        raise
            self._learn(connection.latency)
            if connection.reusable:
                self._idle.setdefault(origin, []).append(connection)
        finally:
            self._busy -= 1
            self._wake()

    def _reuse(self, origin: _Origin) -> Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            # The wall clock, because a frozen function's monotonic clock may stand still while the store hangs up.
            if connection.reusable and abs(time.time() - connection.idle_since) < 15:
                return connection
            connection.close()
        return None

    async def _connect(self, origin: _Origin) -> Connection:
        scheme, host, port = origin
        tls = self._context() if scheme == "https" else None
        try:
            async with asyncio.timeout(self._patience):
                loop = asyncio.get_running_loop()
                if self._socket is not None:
                    _, connection = await loop.create_unix_connection(Connection, self._socket)
                else:
                    _, connection = await loop.create_connection(Connection, host.strip("[]"), port, ssl=tls)
        except OSError as error:  # TimeoutError and ssl.SSLError among them
            raise Interrupted(f"no connection: {type(error).__name__}") from error
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    async def _enter(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._busy, self._idle = loop, 0, {}
            self._queue.clear()
        while self._busy >= self._limit:
            turn = loop.create_future()
            self._queue.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()
                raise
        self._busy += 1

    def _wake(self) -> None:
        free = self._limit - self._busy
        while self._queue and free > 0:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1


def renewing(make: Callable[[], Sign], every: float = 60.0) -> Sign:
    """A `sign` that makes itself anew after `every` seconds: signing is cheap when its shared part is done once."""
    sign: Sign | None = None
    until = 0.0

    def renewed(key: str) -> str:
        nonlocal sign, until
        now = time.monotonic()
        if sign is None or now >= until:
            sign, until = make(), now + every
        return sign(key)

    return renewed


def _request(url: str, block: Block) -> tuple[_Origin, bytes]:
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("the signed URL is not one")  # without the URL: it is a secret while it lives
    scheme, host, port, target = match.groups()
    authority = host if port is None else f"{host}:{port}"
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {authority}",
        f"Range: bytes={block.position}-{block.stop - 1}",
        "Accept-Encoding: identity",
    ]
    if block.entry.etag:
        lines.append(f"If-Match: {_quoted(block.entry.etag)}")
    origin = scheme, host, int(port) if port else 443 if scheme == "https" else 80
    return origin, ("\r\n".join(lines) + "\r\n\r\n").encode()


def _quoted(etag: str) -> str:
    quoted = etag if etag.startswith('"') else f'"{etag}"'
    if not _ETAG.fullmatch(quoted):
        raise ValueError("the recorded ETag is not one")
    return quoted


def _accept(entry: Entry, position: int, stop: int, head: Head) -> None:
    """Refuse every answer that is not exactly bytes `position` to `stop` of the object that was recorded."""
    key, headers = entry.key, head.headers
    _accept_status(key, head.status)
    # Not every S3-compatible store honours If-Match on a GET, so the answer's own ETag is compared as well.
    if entry.etag and "etag" in headers and headers["etag"].removeprefix("W/") != _quoted(entry.etag):
        raise ObjectChanged(key)
    length = headers.get("content-length", "")
    if not length.isdecimal() or "transfer-encoding" in headers:
        raise Interrupted("the store did not say how long its answer is")
    if head.status == 200:
        total, first, end = int(length), 0, int(length)
    else:
        match = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        if match is None:
            raise Interrupted("the store did not say which bytes its answer holds")
        first, end, total = int(match[1]), int(match[2]) + 1, int(match[3])
    if total != entry.size:
        raise ObjectTruncated(key) if total < entry.size else ObjectChanged(key)
    if (first, end) != (position, stop) or int(length) != stop - position:
        raise StorageUnavailable("The photo storage does not deliver the bytes that were asked for")


def _accept_status(key: str, status: int) -> None:
    match status:
        case 200 | 206:
            return
        case 404 | 410:
            raise ObjectMissing(key)
        case 412:
            raise ObjectChanged(key)
        case 416:
            raise ObjectTruncated(key)
        case 408 | 425 | 429 | 500 | 502 | 503 | 504:
            raise Interrupted(f"the store answered {status}")
        case _:
            raise StorageUnavailable(f"The photo storage refused to deliver ({status})")
