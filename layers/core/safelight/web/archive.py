"""Streaming a link's archive."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from pg8000.native import Connection

from safelight import storage
from safelight.archives.fetch import Fetcher, renewing
from safelight.archives.memory import Window
from safelight.archives.plan import Plan
from safelight.archives.ranges import Requested, parse_range
from safelight.archives.service import archive_name, plan_share
from safelight.config import settings
from safelight.errors import Conflict
from safelight.shares import visits
from safelight.shares.visits import Share, Size
from safelight.web.streaming import ArchiveResponse, Sent
from safelight.web.visitor import Visit

log = logging.getLogger(__name__)

# Longer than any one answer may take; made anew every minute.
SOURCE_SECONDS = 3600


class ArchiveTooLarge(Conflict):
    code = "archive_too_large"
    title = "This gallery is too large to be sent as one ZIP from here: download its photos one by one"


@dataclass(frozen=True, slots=True)
class Engine:
    """What all archives of this process share: connections to the store, and one window of bytes."""

    fetcher: Fetcher
    window: Window
    limit: int | None


@lru_cache(maxsize=1)
def get_engine() -> Engine:
    """The process's engine."""
    sign = renewing(lambda: storage.internal_signer().get_urls(SOURCE_SECONDS))
    configured = settings()
    return Engine(Fetcher(sign), Window(configured.archive_window), configured.archive_stream_limit)


Archives = Annotated[Engine, Depends(get_engine)]


@asynccontextmanager
async def closing_engine(_app: FastAPI) -> AsyncIterator[None]:
    """A server's lifespan: at its end the connections to the store are closed."""
    yield
    if get_engine.cache_info().currsize:
        await get_engine().fetcher.close()
        get_engine.cache_clear()


def archive_response(
    request: Request, visit: Visit, connection: Connection, engine: Engine, size: Size | None
) -> Response:
    """The archive, or the part of it that was asked for. Raises DownloadsOff, NothingToDownload, ArchiveTooLarge …

    Counted once a download: when its first byte is asked for, not when a cut one goes on, and never for HEAD.
    """
    chosen: Size = size or ("web" if visit.share.download == "web" else "original")
    share = visit.admit(chosen)
    planned = plan_share(connection, share, chosen)
    if engine.limit is not None and planned.size > engine.limit:
        raise ArchiveTooLarge
    requested = _requested(request, planned)
    if request.method == "GET" and requested.status != 416 and requested.start == 0:
        visits.record(connection, share, "zip_download", visit.visitor, bytes_sent=planned.size)
    return ArchiveResponse(
        planned,
        requested,
        engine.fetcher,
        engine.window,
        filename=archive_name(share, chosen),
        headers={"Cache-Control": "private, no-cache"},
        ended=partial(_ended, share),
    )


def _requested(request: Request, planned: Plan) -> Requested:
    return parse_range(
        request.headers.get("range"),
        request.headers.get("if-range"),
        size=planned.size,
        etag=planned.etag,
        method=request.method,
    )


def _ended(share: Share, sent: Sent) -> None:
    fields = {"share_id": str(share.id), "gallery_id": str(share.gallery_id), "sent": sent.sent, "length": sent.length}
    if sent.broken is not None:
        log.error("archive broken off", extra={**fields, "photo": sent.broken.entry.name, "reason": str(sent.broken)})
    else:
        log.info("archive sent" if sent.whole else "archive left by the client", extra=fields)
