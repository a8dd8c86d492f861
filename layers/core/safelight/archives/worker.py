"""The job that brings one part of an archive."""

import asyncio
import logging
import uuid
from contextlib import closing

from safelight import storage
from safelight.archives import build, queries
from safelight.archives.damage import explain, report
from safelight.archives.fetch import Fetcher, renewing
from safelight.archives.manifest import archive_key, load, manifest_key
from safelight.archives.memory import Window
from safelight.archives.plan import Plan
from safelight.archives.stream import ArchiveBroken, open_archive
from safelight.config import settings
from safelight.db.engine import transaction
from safelight.errors import ObjectMissing
from safelight.jobs import service as jobs
from safelight.jobs.service import Claim, LeaseLost
from safelight.models import Archive
from safelight.telemetry import log_context

log = logging.getLogger(__name__)

SOURCE_SECONDS = 3600
NOT_BUILT = "The ZIP could not be put together although it was tried several times. Please try again in a few minutes."


def handle_record(key: str) -> None:
    """A wake-up `jobs/build_archive/{job_id}`; anything else is dropped."""
    prefix, _, name = key.rpartition("/")
    try:
        job_id = uuid.UUID(name)
    except ValueError:
        job_id = None
    if job_id is None or prefix != f"jobs/{build.JOB}":
        log.warning("key dropped: it names nothing of ours")
        return
    build_part(job_id)


def build_part(job_id: uuid.UUID) -> None:
    """Bring one part, if its job is due and its archive still wanted."""
    with transaction() as session:
        held = jobs.claim(session, job_id)
        if held is None:
            return
        archive = queries.get(session, held.payload["digest"])
        if archive is None or archive.status != "building" or archive.upload_id != held.payload["upload_id"]:
            jobs.complete(session, held)
            return
        if held.exhausted:
            jobs.fail(session, held, "every attempt ended with its worker")
            build.broken(session, storage.multipart(), archive, NOT_BUILT)
            return
    with log_context(job_id=str(job_id), gallery_id=str(archive.gallery_id), archive=archive.digest[:16]):
        try:
            _attempt(held, archive)
        except LeaseLost:
            log.warning("lease lost: another worker has the part")


def _attempt(held: Claim, archive: Archive) -> None:
    number = int(held.payload["number"])
    try:
        etag = _bring(archive, number)
        with transaction() as session:
            row = queries.get(session, archive.digest, lock=True)
            jobs.complete(session, held)
            if row is not None and row.status == "building" and row.upload_id == archive.upload_id:
                build.part_done(session, storage.storage(), storage.multipart(), row, number, etag)
    except LeaseLost:
        raise
    except ArchiveBroken as error:
        log.error("archive cannot be built", extra={"photo": error.entry.name, "reason": error.reason})  # noqa: TRY400 - the reason is known
        report(archive.gallery_id, error.entry, error.reason)
        _end(held, archive, explain(error.entry, error.reason), last=error.reason != "storage_unavailable" or held.last)
    except Exception as error:
        log.exception("part not built", extra={"attempt": held.attempt, "number": number})
        _end(held, archive, NOT_BUILT if held.last else f"{type(error).__name__}: {error}", last=held.last)


def _bring(archive: Archive, number: int) -> str:
    data, _ = storage.storage().read(manifest_key(archive.digest))
    planned = load(data)
    if planned.digest != archive.digest:
        raise ValueError("the manifest is not the one that the archive is named after")
    start = (number - 1) * archive.part_size
    # A loop of this call's own: `asyncio.run` would take away the one that the thread may have.
    with closing(asyncio.new_event_loop()) as loop:
        part = loop.run_until_complete(read_range(planned, start, min(start + archive.part_size, planned.size)))
        loop.run_until_complete(loop.shutdown_default_executor())
    key = archive_key(archive.digest)
    try:
        return storage.multipart().put(key, archive.upload_id, number, part)
    except ObjectMissing:
        made = storage.storage().head(key)
        if made is None or made.size != archive.size:
            raise
        return ""  # the object is made; what this part's ETag was does not matter any more


async def read_range(planned: Plan, start: int, stop: int) -> bytes:
    fetcher = Fetcher(renewing(lambda: storage.internal_signer().get_urls(SOURCE_SECONDS)))
    part = bytearray()
    try:
        stream = await open_archive(planned, start, stop, fetcher, Window(settings().archive_window))
        try:
            async for piece in stream:
                part += piece
        finally:
            await stream.aclose()
    finally:
        await fetcher.close()
    return bytes(part)


def _end(held: Claim, archive: Archive, reason: str, *, last: bool) -> None:
    with transaction() as session:
        if not last:
            jobs.retry(session, held, reason)
            return
        jobs.fail(session, held, reason)
        row = queries.get(session, archive.digest, lock=True)
        if row is not None and row.status == "building" and row.upload_id == archive.upload_id:
            build.broken(session, storage.multipart(), row, reason)
