"""Answering with an archive: streamed, or from the bucket when it is too large for that."""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pg8000.native import Connection

from safelight import storage
from safelight.archives.fetch import Fetcher, renewing
from safelight.archives.memory import Window
from safelight.archives.plan import Plan
from safelight.archives.ranges import Requested, parse_range
from safelight.archives.service import archive_name, manifest, plan_gallery
from safelight.config import settings
from safelight.db import driver
from safelight.errors import Conflict
from safelight.queue import Queue
from safelight.shares import downloads
from safelight.shares.visits import Size
from safelight.storage.disposition import attachment
from safelight.web.owner import Own
from safelight.web.streaming import ArchiveResponse, Sent
from safelight.web.visitor import Visit

if TYPE_CHECKING:
    from safelight.archives.build import Progress

log = logging.getLogger(__name__)

# Longer than any one answer may take; made anew every minute.
SOURCE_SECONDS = 3600
RETRY_SECONDS = 3


class ArchiveNotBuilt(Conflict):
    code = "archive_not_built"
    title = "This download could not be prepared: a photo cannot be read. The photographer has been told"


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose photos, in which size; `visit` when a visitor asks, who is counted, and not the photographer."""

    gallery_id: uuid.UUID
    title: str
    size: Size
    visit: Visit | None = None


def for_visitor(visit: Visit, size: Size | None, *, bytes_wanted: bool) -> Wanted:
    """What a visitor may have. Raises PasswordRequired, DownloadsOff, NotForPreviews."""
    chosen: Size = size or ("web" if visit.share.download == "web" else "original")
    share = visit.admit_download(chosen) if bytes_wanted else visit.admit(chosen)
    return Wanted(share.gallery_id, share.title, chosen, visit)


def for_owner(own: Own, size: Size | None) -> Wanted:
    """What the photographer may have: everything."""
    return Wanted(own.gallery_id, own.title, size or "original")


def archive_response(request: Request, wanted: Wanted, connection: Connection, engine: Engine) -> Response:
    """The archive, or the part of it that was asked for; 202 while it is put together, 307 to it when it is built.

    Counted as `shares.downloads` says. Raises NothingToDownload, ArchiveNotBuilt, DownloadLimitReached.
    """
    planned = plan_gallery(connection, wanted.gallery_id, wanted.size)
    requested = _requested(request, planned)
    built = engine.limit is not None and planned.size > engine.limit
    if built:
        progress = _built(wanted.gallery_id, planned, begin=request.method != "HEAD")
        if progress.status != "ready":
            return _waiting(progress)
    if request.method == "GET":
        _count(connection, wanted, planned, requested, unseen=built)
    if built:
        return _built_archive(request, planned, wanted)
    return ArchiveResponse(
        planned,
        requested,
        engine.fetcher,
        engine.window,
        filename=archive_name(wanted.title, wanted.size),
        headers={"Cache-Control": "private, no-cache"},
        ended=partial(_ended, wanted, planned.digest),
    )


def manifest_of(wanted: Wanted, connection: Connection) -> bytes:
    """What the archive holds, and how it will be known, as JSON. Raises NothingToDownload."""
    planned = plan_gallery(connection, wanted.gallery_id, wanted.size)
    told = {"name": archive_name(wanted.title, wanted.size), **manifest(planned)}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _count(connection: Connection, wanted: Wanted, planned: Plan, requested: Requested, *, unseen: bool) -> None:
    if wanted.visit is None or requested.status == 416:
        return
    ranged = requested.status == 206
    if ranged and requested.start == 0 and requested.stop <= downloads.PROBE_BYTES and not unseen:
        return
    downloads.begin(
        connection,
        wanted.visit.share,
        wanted.visit.visitor,
        planned.digest,
        size=planned.size,
        ranged=ranged,
        unseen=unseen,
    )


def _built(gallery_id: uuid.UUID, planned: Plan, *, begin: bool) -> "Progress":
    # Only here: an archive that is streamed needs neither the ORM nor boto3.
    from safelight.archives import build
    from safelight.db.engine import transaction

    store = storage.light_store()
    with transaction() as session:
        if not begin:
            return build.look(session, store, planned)
        part_size = settings().archive_part_size
        progress = build.request(session, store, storage.multipart(), _queue(), gallery_id, planned, part_size)
    if progress.status == "failed":
        raise ArchiveNotBuilt
    return progress


def _queue() -> Queue:
    return Queue(storage.light_store() if settings().s3_endpoint is None else None)


def _waiting(progress: "Progress") -> Response:
    body = {"status": progress.status, "progress": round(progress.done / progress.parts, 4), "size": progress.size}
    headers = {"Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"}
    return JSONResponse(body, 202, headers)


def _built_archive(request: Request, planned: Plan, wanted: Wanted) -> Response:
    """The built object: where it is for GET, and what it will be for HEAD, which a signed GET URL would refuse."""
    from safelight.archives.manifest import archive_key

    headers = {"Cache-Control": "private, no-store"}
    if request.method == "HEAD":
        known = {"Content-Length": str(planned.size), "ETag": planned.etag, "Accept-Ranges": "bytes"}
        return Response(None, 200, {**headers, **known}, "application/zip")
    sign = storage.signer().get_urls(
        SOURCE_SECONDS, disposition=attachment(archive_name(wanted.title, wanted.size)), content_type="application/zip"
    )
    return RedirectResponse(sign(archive_key(planned.digest)), 307, headers)


def _requested(request: Request, planned: Plan) -> Requested:
    return parse_range(
        request.headers.get("range"),
        request.headers.get("if-range"),
        size=planned.size,
        etag=planned.etag,
        method=request.method,
    )


def _ended(wanted: Wanted, digest: str, sent: Sent) -> None:
    fields = {"gallery_id": str(wanted.gallery_id), "sent": sent.sent, "length": sent.length}
    if wanted.visit is not None:
        fields["share_id"] = str(wanted.visit.share.id)
    if sent.broken is not None:
        log.error("archive broken off", extra={**fields, "photo": sent.broken.entry.name, "reason": str(sent.broken)})
        _aside(partial(_report, wanted.gallery_id, sent))
    else:
        log.info("archive sent" if sent.whole else "archive left by the client", extra=fields)
    if wanted.visit is not None and not sent.whole:
        _aside(partial(_broke_off, wanted.visit, digest))


def _aside(deed: Callable[[], None]) -> None:
    """Do it in a thread: this one has other archives to send."""
    _log_failure(asyncio.get_running_loop().run_in_executor(None, deed))


def _log_failure(doing: "asyncio.Future[None]") -> None:
    def done(future: "asyncio.Future[None]") -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            log.error("end of an archive not noted", exc_info=error)

    doing.add_done_callback(done)


def _report(gallery_id: uuid.UUID, sent: Sent) -> None:
    from safelight.archives.damage import report

    if sent.broken is not None:
        report(gallery_id, sent.broken.entry, sent.broken.reason)


def _broke_off(visit: Visit, digest: str) -> None:
    with driver.connection() as connection:
        downloads.broke_off(connection, visit.share, visit.visitor, digest)
