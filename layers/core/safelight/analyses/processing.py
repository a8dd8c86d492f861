"""The jobs behind an analysis: measure the picture, then look for faces in what was made of it.

Both run in children without credentials or files. The search for faces never sees the file that was uploaded, only the
preview that we made of it.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy import func

from safelight.analyses import keys, queries
from safelight.analyses.service import FACES_JOB
from safelight.config import MAX_PHOTO_BYTES
from safelight.db.engine import transaction
from safelight.errors import ObjectChanged, ObjectMissing, SafelightError
from safelight.jobs import service as jobs
from safelight.jobs.service import Claim, LeaseLost
from safelight.models import Analysis
from safelight.photos import damage
from safelight.photos.processing import SANDBOX_SECONDS, BadUpload, whole
from safelight.pictures.errors import SandboxUnavailable, UnreadablePicture
from safelight.pictures.types import Rendered
from safelight.queue import Queue
from safelight.storage.objects import ObjectInfo
from safelight.telemetry import kind, log_context

log = logging.getLogger(__name__)

GAVE_UP = "We could not analyse this picture although we tried several times. Please try again later."
GONE = "The photo is no longer there."

type Render = Callable[[bytes, str], Rendered]
type Find = Callable[[bytes], list[dict[str, float]]]


class Store(Protocol):
    """What analyses need of the object store."""

    def read(self, key: str, *, if_match: str | None = None, limit: int | None = None) -> tuple[bytes, ObjectInfo]: ...
    def write(self, key: str, data: bytes, content_type: str) -> ObjectInfo: ...


class Damaged(SafelightError):
    """The photo's original cannot be read; the photo says why."""

    code = "damaged"
    title = "The photo's file cannot be read"


def measure(held: Claim, store: Store, render: Render, queue: Queue) -> None:
    """Run one `analyse_photo` job: all figures but the faces."""

    def attempt(held: Claim, analysis: Analysis) -> None:
        rendered = render(*_original(store, analysis))
        if analysis.photo_id is None and analysis.faces:
            [preview] = [made.data for made in rendered.renditions if made.name == "preview"]
            store.write(keys.preview(analysis.id), preview, "image/jpeg")
        _finish(held, rendered.metrics, queue)

    _run(held, attempt)


def find_faces(held: Claim, store: Store, find: Find) -> None:
    """Run one `find_faces` job."""

    def attempt(held: Claim, analysis: Analysis) -> None:
        data, _ = store.read(_preview_key(analysis))
        _finish(held, {"faces": find(data)}, None)

    _run(held, attempt)


def _run(held: Claim, attempt: Callable[[Claim, Analysis], None]) -> None:
    with log_context(job_id=str(held.job_id), analysis_id=str(held.subject_id)):
        try:
            analysis = _wanted(held)
            if analysis is not None:
                _attempt(held, analysis, attempt)
        except LeaseLost:
            log.warning("lease lost: another worker has the analysis")


def _wanted(held: Claim) -> Analysis | None:
    """The analysis, if its job is to be tried; otherwise the job ends here. Raises LeaseLost."""
    with transaction() as session:
        # Analysis before job, here and below: whoever asks for one holds it when it looks for the job.
        analysis = queries.lock(session, held.subject_id)
        if analysis is None or analysis.status in ("ready", "failed"):
            jobs.complete(session, held)
            return None
        if held.exhausted:
            _give_up(analysis, GAVE_UP)
            jobs.fail(session, held, "every attempt ended with its worker")
            return None
        analysis.status = "processing"
        return analysis


def _attempt(held: Claim, analysis: Analysis, attempt: Callable[[Claim, Analysis], None]) -> None:
    try:
        attempt(held, analysis)
        log.info("analysed", extra={"kind": held.kind, "attempt": held.attempt})
    except LeaseLost:
        raise
    except (BadUpload, UnreadablePicture, Damaged) as error:
        _end(held, error.detail, last=True)
        log.info("not analysed", extra={"reason": error.detail})
    except SandboxUnavailable as error:
        with transaction() as session:
            jobs.wait(session, held, error.detail, SANDBOX_SECONDS)
        log.warning("the analysis waits for the sandbox")
    except Exception as error:
        log.exception("not analysed", extra={"attempt": held.attempt})
        _end(held, kind(error), last=held.last, told=GAVE_UP)


def _original(store: Store, analysis: Analysis) -> tuple[bytes, str]:
    """The bytes to measure, and what they are said to be. Raises BadUpload, Damaged."""
    if analysis.photo_id is None:
        assert analysis.file_size is not None
        assert analysis.content_type is not None
        data, _ = whole(store, keys.upload(analysis.id), analysis.file_size, analysis.crc32)
        return data, analysis.content_type
    with transaction() as session:
        photo = queries.photo(session, analysis.photo_id)
    if photo is None:
        raise Damaged(GONE)
    try:
        data, _ = store.read(photo.s3_key, if_match=photo.etag, limit=MAX_PHOTO_BYTES)
    except (ObjectMissing, ObjectChanged) as error:
        with transaction() as session:
            damage.note(session, photo.id, damage.REASONS[error.code])
        raise Damaged(damage.REASONS[error.code]) from error
    return data, photo.content_type


def _preview_key(analysis: Analysis) -> str:
    if analysis.photo_id is None:
        return keys.preview(analysis.id)
    with transaction() as session:
        made = queries.preview(session, analysis.photo_id)
    if made is None:
        raise Damaged(GONE)
    return made.s3_key


def _finish(held: Claim, found: dict[str, Any], queue: Queue | None) -> None:
    with transaction() as session:
        analysis = queries.lock(session, held.subject_id)
        jobs.complete(session, held)
        if analysis is None:
            return  # deleted meanwhile
        analysis.result = (analysis.result or {}) | found
        if analysis.faces and "faces" not in analysis.result:
            assert queue is not None
            session.flush()
            jobs.enqueue(session, queue, FACES_JOB, analysis.id, analysis.owner_id)
        else:
            _ended(analysis, "ready", None)


def _give_up(analysis: Analysis | None, reason: str) -> None:
    if analysis is not None and analysis.status in ("pending", "processing"):
        _ended(analysis, "failed", reason)


def _ended(analysis: Analysis, status: str, error: str | None) -> None:
    analysis.status, analysis.error = status, error
    analysis.completed_at = func.now()


def _end(held: Claim, reason: str, *, last: bool, told: str | None = None) -> None:
    with transaction() as session:
        analysis = queries.lock(session, held.subject_id)
        if last:
            _give_up(analysis, told or reason)
            jobs.fail(session, held, reason)
        else:
            jobs.retry(session, held, reason)
