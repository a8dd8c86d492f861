"""How far an archive is that is built into the bucket: begun by a download, told to whoever waits for it."""

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from safelight import storage
from safelight.archives.plan import Plan
from safelight.config import settings
from safelight.errors import Conflict
from safelight.jobs import wake
from safelight.security.tickets import make_ticket, read_ticket
from safelight.web import pages

if TYPE_CHECKING:
    from safelight.archives.build import Progress

RETRY_SECONDS = 3


class ArchiveNotBuilt(Conflict):
    code = "archive_not_built"
    title = "This download could not be prepared: a photo cannot be read. The photographer has been told"


class ArchiveStatus(BaseModel):
    """What there is of an archive. `absent`: nobody has asked for it lately; a GET of `download_url` begins it."""

    status: Literal["absent", "building", "ready", "failed"]
    progress: float = Field(ge=0, le=1, description="The share of its parts that lie in the bucket")
    parts: int = Field(description="0 for an archive that is streamed, which nothing has to be done for")
    parts_done: int
    size: int = Field(description="Bytes of the whole archive")
    download_url: str = Field(description="Path of the archive itself")
    status_url: str = Field(description="Path of this archive's status, cheap to ask again")
    reason: str | None = Field(description="Why it failed, and what the photographer can do, for people")


def status_response(
    request: Request, gallery_id: uuid.UUID, scope: str, planned: Plan, limit: int | None
) -> JSONResponse:
    """The status of the archive whose path this request's begins with; begins nothing and counts nothing.

    An archive of up to `limit` bytes is streamed, and so always ready. `scope` is where the answer's ticket is good.
    """
    if not is_built(planned, limit):
        told = _told(request, request.url.path.removesuffix("/status"), planned.size)
        return JSONResponse(told, 200, {"Cache-Control": "no-store"})
    return _status(request, scope, progress_of(gallery_id, planned))


def recalled(request: Request, gallery_id: uuid.UUID, scope: str, ticket: str) -> JSONResponse | None:
    """The same of an archive that its asker has a ticket for, without planning the gallery again.

    None when the ticket was not given in this scope, or this gallery has no such archive, or none any more.
    """
    digest = read_ticket(ticket, scope, settings().token_secret)
    if digest is None:
        return None
    from safelight.archives import build
    from safelight.db.engine import transaction

    with transaction() as session:
        progress = build.recall(session, storage.light_store(), gallery_id, digest)
    return None if progress is None else _status(request, scope, progress)


def _status(request: Request, scope: str, progress: "Progress") -> JSONResponse:
    headers = {"Retry-After": str(RETRY_SECONDS)} if progress.status == "building" else {}
    told = _told(request, request.url.path.removesuffix("/status"), progress.size, scope, progress)
    return JSONResponse(told, 200, {"Cache-Control": "no-store", **headers})


def waiting(request: Request, scope: str, progress: "Progress") -> Response:
    """202 with the status and where to ask for it (RFC 9110 section 15.3.3); for a browser as a page that asks again.

    Raises ArchiveNotBuilt.
    """
    if progress.status == "failed":
        raise ArchiveNotBuilt(progress.reason)
    told = _told(request, request.url.path, progress.size, scope, progress)
    headers = {"Location": str(told["status_url"]), "Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"}
    if pages.wants_page(request):
        return pages.waiting(request, int(100 * progress.done / progress.parts), RETRY_SECONDS, headers)
    return JSONResponse(told, 202, {**headers, "Vary": "Accept"})


def is_built(planned: Plan, limit: int | None) -> bool:
    """Whether it is too large to be streamed."""
    return limit is not None and planned.size > limit


def progress_of(gallery_id: uuid.UUID, planned: Plan, begin: Callable[[], None] | None = None) -> "Progress":
    """How far it is. With `begin` it is begun where nobody has yet, unless that raises."""
    # Only here: an archive that is streamed needs neither the ORM nor boto3.
    from safelight.archives import build
    from safelight.db.engine import transaction

    store = storage.light_store()
    with transaction() as session:
        if begin is None:
            return build.look(session, store, planned)
        part_size = settings().archive_part_size
        return build.request(session, store, storage.multipart(), wake.queue(), gallery_id, planned, part_size, begin)


def _told(
    request: Request, path: str, size: int, scope: str = "", progress: "Progress | None" = None
) -> dict[str, object]:
    # Whatever chose this archive (size, selection) chooses it again; encoded anew, because a header is ASCII.
    chosen = [(name, value) for name, value in request.query_params.multi_items() if name != "archive"]
    # The status goes on about this archive, whatever happens to the gallery; so nobody has to plan it again.
    named = chosen if progress is None else [*chosen, ("archive", _ticket(progress, scope))]
    path = f"{settings().base_path}{path}"
    status, done, parts = ("ready", 0, 0) if progress is None else (progress.status, progress.done, progress.parts)
    return {
        "status": status,
        "progress": round(done / parts, 4) if parts else 1.0,
        "parts": parts,
        "parts_done": done,
        "size": size,
        "download_url": f"{path}{_query(chosen)}",
        "status_url": f"{path}/status{_query(named)}",
        "reason": progress.reason if progress is not None and progress.status == "failed" else None,
    }


def _ticket(progress: "Progress", scope: str) -> str:
    return make_ticket(progress.digest, scope, settings().token_secret)


def _query(pairs: list[tuple[str, str]]) -> str:
    return f"?{urlencode(pairs)}" if pairs else ""
