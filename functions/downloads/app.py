"""Galleries as one ZIP, for visitors and for the photographer. Runs under uvicorn, because only then can it stream."""

import uuid
from typing import Annotated, Any

from fastapi import Query, Request, Response

from safelight.telemetry import logger
from safelight.web.app import create_app
from safelight.web.archive import Archives, archive_response, closing_engine, manifest_of, status_of
from safelight.web.building import ArchiveStatus
from safelight.web.single import file_response
from safelight.web.visitor import Db, LiveVisit, json_response
from safelight.web.wanted import OwnArchive, VisitorsArchive, VisitorsBytes

app = create_app("downloads", lifespan=closing_engine)
logger()
Ticket = Annotated[
    str | None,
    Query(
        pattern="^[0-9a-f]{64,96}$",
        description="Which archive was asked for, as `status_url` says; good for the same link under the same policy",
    ),
]
BEGUN: dict[int | str, dict[str, Any]] = {
    202: {"model": ArchiveStatus, "description": "It is being put together; `Location` tells how far it is"},
    307: {"description": "It lies in the bucket; the address is good for two minutes"},
}
TOLD: dict[int | str, dict[str, Any]] = {200: {"model": ArchiveStatus}}


@app.get("/s/{share_id}/download/all", responses=BEGUN)
def download_all(request: Request, wanted: VisitorsBytes, connection: Db, archives: Archives) -> Response:
    """All photos of a link, or a selection's, as one ZIP that can be resumed at any byte."""
    return archive_response(request, wanted, connection, archives)


@app.head("/s/{share_id}/download/all")
def head_download_all(request: Request, wanted: VisitorsArchive, connection: Db, archives: Archives) -> Response:
    """The size and the validator of that ZIP; counts nothing."""
    return archive_response(request, wanted, connection, archives)


@app.get("/s/{share_id}/download/all/status", responses=TOLD)
def download_status(
    request: Request, wanted: VisitorsArchive, connection: Db, archives: Archives, archive: Ticket = None
) -> Response:
    """How far that ZIP is, where it has to be put together first; begins nothing, counts nothing."""
    return status_of(request, wanted, connection, archives, archive)


@app.get("/s/{share_id}/download/all/manifest")
def download_manifest(request: Request, wanted: VisitorsArchive, connection: Db, archives: Archives) -> Response:
    """Name, size, CRC-32 and SHA-256 of every photo in that ZIP, and its size and validator; counts nothing."""
    return json_response(request, manifest_of(wanted, connection, archives))


@app.head("/s/{share_id}/photos/{photo_id}/file", name="head_file", responses={200: {"content": {"image/*": {}}}})
@app.get("/s/{share_id}/photos/{photo_id}/file", responses={200: {"content": {"image/*": {}}}})
def download_file(
    request: Request, visit: LiveVisit, photo_id: uuid.UUID, connection: Db, archives: Archives
) -> Response:
    """One photo as the link hands it out, cut to size on the way; can be resumed at any byte; counts as a download."""
    return file_response(request, visit, photo_id, connection, archives)


@app.head("/galleries/{gallery_id}/download", name="head_download_own")
@app.get("/galleries/{gallery_id}/download", responses=BEGUN)
def download_own(request: Request, wanted: OwnArchive, connection: Db, archives: Archives) -> Response:
    """All photos of a gallery of mine, or a selection's, as one ZIP, as its visitors get it; counts nothing."""
    return archive_response(request, wanted, connection, archives)


@app.get("/galleries/{gallery_id}/download/status", responses=TOLD)
def download_own_status(
    request: Request, wanted: OwnArchive, connection: Db, archives: Archives, archive: Ticket = None
) -> Response:
    """How far the ZIP of a gallery of mine is; begins nothing."""
    return status_of(request, wanted, connection, archives, archive)


@app.get("/galleries/{gallery_id}/download/manifest")
def download_own_manifest(request: Request, wanted: OwnArchive, connection: Db, archives: Archives) -> Response:
    """What the ZIP of a gallery of mine holds, as its visitors are told it."""
    return json_response(request, manifest_of(wanted, connection, archives))


@app.get("/healthz", include_in_schema=False)
def healthz() -> Response:
    """Whether the process serves; asked by the adapter on the same machine."""
    return Response(status_code=204)
