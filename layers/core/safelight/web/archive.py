"""Answering with an archive: streamed, or from the bucket when it is too large for that."""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from pg8000.native import Connection

from safelight.archives.fetch import Fetcher
from safelight.archives.memory import Window
from safelight.archives.plan import Layout
from safelight.archives.ranges import Requested, is_probe, parse_range
from safelight.archives.service import manifest
from safelight.archives.source import own_fetcher
from safelight.config import settings
from safelight.db import driver
from safelight.shares import downloads, limits
from safelight.web import building, forwarded
from safelight.web.built import built_archive, check_unchanged, lying, validator
from safelight.web.caller import address, behind_adapter
from safelight.web.conditional import check_match
from safelight.web.meeting import meet
from safelight.web.streaming import ArchiveResponse, Sent
from safelight.web.visitor import Visit
from safelight.web.wanted import Wanted

log = logging.getLogger(__name__)

# An address in the bucket gives the whole, whatever part is asked for: each is charged as the part of a download over
# this many connections at least, which is as many as aria2 opens.
ADDRESSES = 16


@dataclass(frozen=True, slots=True)
class Engine:
    """What all archives of this process share: connections to the store, and one window of bytes."""

    fetcher: Fetcher
    window: Window
    limit: int | None


@lru_cache(maxsize=1)
def get_engine() -> Engine:
    """The process's engine."""
    configured = settings()
    return Engine(own_fetcher(), Window(configured.archive_window), configured.archive_stream_limit)


Archives = Annotated[Engine, Depends(get_engine)]


@asynccontextmanager
async def closing_engine(_app: FastAPI) -> AsyncIterator[None]:
    """A server's lifespan: at its end the connections to the store are closed."""
    warning = None if behind_adapter() else forwarded.warning(settings())
    if warning is not None:
        log.warning(warning)
    yield
    if get_engine.cache_info().currsize:
        await get_engine().fetcher.close()
        get_engine.cache_clear()


def archive_response(request: Request, wanted: Wanted, connection: Connection, engine: Engine) -> Response:
    """The archive, or the part of it that was asked for; 202 while it is put together, 307 to it when it is built.

    Counted as `shares.downloads` says. Raises NothingToDownload, ArchiveNotBuilt, DownloadChanged, TooManyRequests,
    DownloadLimitReached.
    """
    planned = wanted.plan(connection)
    check(connection, wanted, planned)
    built = building.is_built(planned, engine.limit)
    requested = part_of(request, planned, judged=built)
    if built and requested.status != 416:
        permit = partial(_permit, request, wanted, connection) if request.method == "GET" else None
        progress = building.progress_of(wanted.gallery_id, planned, permit)
        if progress.status != "ready":
            return building.waiting(request, wanted.scope, progress)
        check_unchanged(request, planned)
    if wanted.visit is not None and is_counted(requested) and (first := meet(request, wanted.visit)) is not None:
        return first
    least = planned.size // ADDRESSES if built else 0
    held = count(connection, wanted, planned, requested, least=least) if request.method == "GET" else None
    if built and is_counted(requested):
        answer = built_archive(request, planned, wanted.filename)
        introduce(answer, wanted, held)
        return answer
    answer = ArchiveResponse(
        planned,
        requested,
        engine.fetcher,
        engine.window,
        etag=validator(planned, lying(planned)) if built else planned.etag,
        filename=wanted.filename,
        headers={"Cache-Control": "private, no-cache"},
        ended=partial(ended, wanted, planned),
    )
    introduce(answer, wanted, held)
    return answer


def _permit(request: Request, wanted: Wanted, connection: Connection) -> None:
    """A visitor may have one more archive put together; the photographer always. Raises TooManyRequests."""
    if wanted.visit is not None:
        limits.begin_archive(connection, wanted.visit.secret, address(request), wanted.visit.share.id)


def status_of(request: Request, wanted: Wanted, connection: Connection, engine: Engine, ticket: str | None) -> Response:
    """Whether the archive is there, on its way or failed; begins and counts nothing.

    `ticket` names the one that was asked for before by this link: then neither the gallery is planned again nor the
    limit looked at, which the bytes are asked about. Raises NothingToDownload, DownloadLimitReached.
    """
    if ticket is not None:
        known = building.recalled(request, wanted.gallery_id, wanted.scope, ticket)
        if known is not None:
            return known
    planned = wanted.plan(connection)
    check(connection, wanted, planned)
    return building.status_response(request, wanted.gallery_id, wanted.scope, planned, engine.limit)


def manifest_of(wanted: Wanted, connection: Connection, engine: Engine) -> bytes:
    """What the archive holds, and how it is known, as JSON. Raises NothingToDownload.

    The ETag of one that has to be built is the bucket's, and null until it lies there.
    """
    planned = wanted.plan(connection)
    told = {"name": wanted.filename, **manifest(planned)}
    if building.is_built(planned, engine.limit):
        stored = lying(planned)
        told["etag"] = stored.etag if stored else None
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def count(
    connection: Connection, wanted: Wanted, planned: Layout, requested: Requested, *, least: int = 0
) -> bytes | None:
    """Count a visitor's request for bytes, and for `least` of them, as `shares.downloads` says.

    The hash under which their download is counted; None for a request that is none. Raises DownloadLimitReached.
    """
    if wanted.visit is None or not is_counted(requested):
        return None
    asked = max(requested.stop - requested.start, least)
    return downloads.begin(connection, item_of(wanted.visit, wanted, planned), asked)


def is_counted(requested: Requested) -> bool:
    """Whether a GET for this part counts: a probe and a 416 do not."""
    return requested.status != 416 and not is_probe(requested)


def introduce(answer: Response, wanted: Wanted, held: bytes | None) -> None:
    """Give a visitor, whose download is counted under `held`, the link's cookie with its answer."""
    if wanted.visit is not None and held is not None:
        wanted.visit.introduce(answer, held)


def check(connection: Connection, wanted: Wanted, planned: Layout) -> None:
    """Whether a visitor may begin or carry on this download; takes none. Raises DownloadLimitReached."""
    if wanted.visit is not None:
        downloads.check(connection, item_of(wanted.visit, wanted, planned))


def item_of(visit: Visit, wanted: Wanted, planned: Layout) -> downloads.Item:
    """What is fetched, and by whom, as it is counted."""
    return downloads.Item(visit.share, visit.who, visit.now, planned.digest, planned.size, wanted.photo_id)


def part_of(request: Request, planned: Layout, *, judged: bool = False) -> Requested:
    """What part of a file the request asks for; `judged` when If-Match and If-Range are decided elsewhere.

    Raises DownloadChanged.
    """
    if not judged:
        check_match(request, planned.etag)
    return parse_range(
        request.headers.get("range"),
        None if judged else request.headers.get("if-range"),
        size=planned.size,
        etag=planned.etag,
        method=request.method,
    )


def ended(wanted: Wanted, planned: Layout, sent: Sent) -> None:
    """Note how an answer ended: damage for the photographer, a break for what is counted next."""
    fields = {"gallery_id": str(wanted.gallery_id), "sent": sent.sent, "length": sent.length}
    if wanted.visit is not None:
        fields["share_id"] = str(wanted.visit.share.id)
    if sent.broken is not None:
        log.error("archive broken off", extra={**fields, "photo": sent.broken.entry.name, "reason": str(sent.broken)})
        _aside(partial(_report, wanted.gallery_id, sent))
    else:
        log.info("archive sent" if sent.whole else "archive left by the client", extra=fields)
    if wanted.visit is not None and not sent.whole:
        _aside(partial(_broke_off, item_of(wanted.visit, wanted, planned), sent.length - sent.sent))


def _aside(deed: Callable[[], None]) -> None:
    """Do it in a thread: this one has other archives to send."""
    # With the request's context, which says whose database role is used.
    _log_failure(asyncio.get_running_loop().run_in_executor(None, copy_context().run, deed))


def _log_failure(doing: "asyncio.Future[None]") -> None:
    def done(future: "asyncio.Future[None]") -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            log.error("end of an archive not noted", exc_info=error)

    doing.add_done_callback(done)


def _report(gallery_id: uuid.UUID, sent: Sent) -> None:
    from safelight.archives.damage import report

    if sent.broken is not None:
        report(gallery_id, sent.broken.entry, sent.broken.reason)


def _broke_off(item: downloads.Item, unsent: int) -> None:
    with driver.connection() as connection:
        downloads.broke_off(connection, item, unsent)
