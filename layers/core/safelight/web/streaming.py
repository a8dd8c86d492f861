"""The answer that streams an archive, or one photo that is cut on the way."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from safelight.archives.memory import Window
from safelight.archives.plan import Layout
from safelight.archives.ranges import Requested
from safelight.archives.stream import ArchiveBroken, Fetches, open_archive
from safelight.errors import StorageUnavailable
from safelight.storage.disposition import attachment


@dataclass(frozen=True, slots=True)
class Sent:
    """How an answer ended: `sent` of `length` bytes were handed to the server; `broken` is what went wrong, if any."""

    sent: int
    length: int
    broken: ArchiveBroken | None

    @property
    def whole(self) -> bool:
        """Whether all bytes went out."""
        return self.sent == self.length


class ArchiveResponse(Response):
    """200, 206 or 416 for an archive or a photo, with an exact Content-Length; HEAD gets the head alone.

    The status is sent once the store has agreed to deliver the first object; until then ArchiveBroken, or
    StorageUnavailable, is raised for the error mapping to answer. A failure after that is raised too: the server
    then closes the connection before the archive's central directory was sent, so that no reader takes it for whole.
    A client that leaves is noticed by `http.disconnect`, since nothing else tells, and all reading stops.
    `ended` is told how it went, in every case.
    """

    def __init__(
        self,
        plan: Layout,
        requested: Requested,
        fetcher: Fetches,
        window: Window,
        *,
        etag: str | None = None,
        filename: str = "photos.zip",
        media_type: str = "application/zip",
        headers: dict[str, str] | None = None,
        ended: Callable[[Sent], None] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self._plan = plan
        self._requested = requested
        self._fetcher = fetcher
        self._window = window
        self._ended = ended
        self._length = requested.stop - requested.start
        self._sent = 0
        own = {"Accept-Ranges": "bytes", "ETag": etag or plan.etag, "Content-Length": str(self._length)}
        # nginx would take all of it at once and write it to a disk, even for a client that has left.
        own["X-Accel-Buffering"] = "no"
        if requested.status == 416:
            own["Content-Range"] = f"bytes */{plan.size}"
        else:
            own["Content-Disposition"] = attachment(filename)
        if requested.status == 206:
            own["Content-Range"] = f"bytes {requested.start}-{requested.stop - 1}/{plan.size}"
        super().__init__(None, requested.status, {**(headers or {}), **own}, media_type, background)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD" or not self._length:
            await self._head(send)
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._stream(receive, send)
        if self.background is not None:
            await self.background()

    async def _head(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _stream(self, receive: Receive, send: Send) -> None:
        body = asyncio.create_task(self._body(send))
        left = asyncio.create_task(_disconnected(receive))
        broken = None
        try:
            await asyncio.wait((body, left), return_when=asyncio.FIRST_COMPLETED)
            if body.done():
                body.result()
        except ArchiveBroken as error:
            broken = error
            if not self._sent and isinstance(error.__cause__, StorageUnavailable):
                raise error.__cause__ from None
            raise
        finally:
            for task in (body, left):
                task.cancel()
            await asyncio.gather(body, left, return_exceptions=True)
            if self._ended is not None:
                self._ended(Sent(self._sent, self._length, broken))

    async def _body(self, send: Send) -> None:
        start, stop = self._requested.start, self._requested.stop
        stream = await open_archive(self._plan, start, stop, self._fetcher, self._window)
        try:
            await self._head(send)
            async for piece in stream:
                self._sent += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": self._sent < self._length})
        finally:
            await stream.aclose()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
