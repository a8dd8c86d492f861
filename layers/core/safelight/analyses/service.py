"""Asking for analyses, and reading them.

Every photo is measured while it is processed, so its analysis is there when it turns ready; asking for one adds the
faces. A file that is no photo of a gallery can be analysed, too: it is uploaded as a photo is, and not kept.
"""

import datetime as dt
import uuid

from sqlalchemy import func
from sqlalchemy.orm import Session

from safelight.analyses import keys, limits, queries
from safelight.analyses.schemas import AnalysisCreated, AnalysisOut, PhotoAnalysis, UploadAnalysis
from safelight.errors import Conflict, NotFound
from safelight.jobs import service as jobs
from safelight.models import Analysis
from safelight.pages import Page, by_age, cut, decode_cursor
from safelight.photos import service as photos
from safelight.photos import upload
from safelight.photos.upload import Heads, NotUploaded
from safelight.pictures.measures import VERSION
from safelight.queue import Queue
from safelight.storage.signer import Signer
from safelight.validators import strong_etag

# Decodes and measures; needs libvips.
JOB = "analyse_photo"
# Looks for faces in what was made of the picture; needs OpenCV.
FACES_JOB = "find_faces"


class PhotoNotReady(Conflict):
    code = "photo_not_ready"
    title = "This photo is not ready: its analysis begins by itself when it is"


def request(
    session: Session,
    signer: Signer,
    queue: Queue,
    secret: str,
    owner_id: uuid.UUID,
    wanted: PhotoAnalysis | UploadAnalysis,
) -> AnalysisCreated:
    """The analysis that was asked for. A photo has one: asking again gives it again, with faces if they are new, with
    figures by today's formulas if they are older, and tries again what failed.

    Raises NotFound, PhotoNotReady; TooLarge, UnsupportedType, TooManyWaiting, TooManyRequests.
    """
    if isinstance(wanted, PhotoAnalysis):
        return AnalysisCreated.model_validate(_of_photo(session, queue, owner_id, wanted))
    upload.check(wanted)
    limits.announcement(session, secret, owner_id)
    analysis = Analysis(
        id=uuid.uuid4(),
        owner_id=owner_id,
        filename=wanted.filename,
        content_type=wanted.content_type,
        file_size=wanted.file_size,
        crc32=upload.crc32_number(wanted.crc32),
        faces=wanted.faces,
    )
    session.add(analysis)
    session.flush()
    session.refresh(analysis)
    created = AnalysisCreated.model_validate(analysis)
    created.upload = upload.form(signer, keys.upload(analysis.id), wanted.content_type, wanted.file_size, wanted.crc32)
    return created


def _of_photo(session: Session, queue: Queue, owner_id: uuid.UUID, wanted: PhotoAnalysis) -> Analysis:
    # The photo first and its analysis after it, as the worker does.
    photo = photos.get_owned(session, owner_id, wanted.photo_id, lock=True)
    if photo.status != "ready":
        raise PhotoNotReady(photo.failure_reason)
    analysis = queries.of_photo(session, owner_id, photo.id)
    if analysis.status == "failed" and measured(analysis) and not wanted.faces:
        # What is asked for now is there: only the search for faces failed, and nobody asks for that any more.
        analysis.status, analysis.error, analysis.completed_at = "ready", None, func.now()
        analysis.faces = "faces" in (analysis.result or {})
        session.flush()
    elif analysis.status in ("pending", "failed") or not _has(analysis, wanted):
        analysis.faces = analysis.faces or wanted.faces
        analysis.status, analysis.error, analysis.completed_at = "processing", None, None
        session.flush()
        # A live job of the other kind ends by starting this one, for it reads `faces` then.
        jobs.enqueue(session, queue, FACES_JOB if measured(analysis) else JOB, analysis.id, owner_id)
    session.refresh(analysis)
    return analysis


def measured(analysis: Analysis) -> bool:
    """Whether all figures but the faces are there, by today's formulas."""
    return (analysis.result or {}).get("version") == VERSION


def _has(analysis: Analysis, wanted: PhotoAnalysis) -> bool:
    return measured(analysis) and (not wanted.faces or "faces" in (analysis.result or {}))


def search_again(session: Session, queue: Queue, photo_id: uuid.UUID) -> None:
    """Look for faces once more where they were looked for; those that are known stay until then."""
    analysis = queries.searched(session, photo_id)
    if analysis is not None:
        analysis.status, analysis.error, analysis.completed_at = "processing", None, None
        session.flush()
        jobs.enqueue(session, queue, FACES_JOB, analysis.id, analysis.owner_id)


def complete(session: Session, store: Heads, queue: Queue, analysis: Analysis) -> Analysis:
    """The client says that it has uploaded. Idempotent. Raises NotUploaded."""
    if analysis.status == "pending":
        if store.head(keys.upload(analysis.id)) is None:
            raise NotUploaded
        arrived(session, queue, analysis)
        session.refresh(analysis)
    return analysis


def arrived(session: Session, queue: Queue, analysis: Analysis) -> uuid.UUID:
    """The upload is there: the job that will look at it."""
    analysis.status = "processing"
    session.flush()
    return jobs.enqueue(session, queue, JOB, analysis.id, analysis.owner_id)


def object_arrived(session: Session, queue: Queue, analysis_id: uuid.UUID) -> uuid.UUID | None:
    """The bucket says that an upload is there: the job, or None when nobody waits for it."""
    analysis = queries.lock(session, analysis_id)
    if analysis is None or analysis.photo_id is not None or analysis.status not in ("pending", "processing"):
        return None
    return arrived(session, queue, analysis)


def get_owned(session: Session, owner_id: uuid.UUID, analysis_id: uuid.UUID, *, lock: bool = False) -> Analysis:
    """The analysis. Raises NotFound when it is missing or somebody else's."""
    analysis = queries.owned(session, owner_id, analysis_id, lock=lock)
    if analysis is None:
        raise NotFound
    return analysis


def list_page(
    session: Session, owner_id: uuid.UUID, limit: int, cursor: str | None, status: str | None
) -> Page[AnalysisOut]:
    """One page, newest first, in one query."""
    after = tuple(decode_cursor(cursor, dt.datetime, uuid.UUID)) if cursor else None
    found = queries.page(session, owner_id, limit + 1, after, status)
    shown, last = cut(found, limit, by_age)
    return Page[AnalysisOut].of([AnalysisOut.model_validate(analysis) for analysis in shown], last)


def delete(session: Session, analysis: Analysis) -> None:
    """Forget it at once; a file that was sent for it leaves the bucket with the next sweep. The photo stays."""
    queries.forget(session, analysis.id)


def etag(analysis: Analysis) -> str:
    """A strong validator: it changes with every change of the row."""
    return strong_etag(analysis.id, analysis.updated_at.isoformat(), analysis.status)
