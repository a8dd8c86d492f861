"""Where one photo is to be had as a file to keep: in the bucket, and counted here, or on the streaming function."""

import uuid

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from pg8000.native import Connection

from safelight.archives.ranges import parse_range
from safelight.archives.single import photo_file
from safelight.config import settings
from safelight.shares import downloads, visits
from safelight.storage.signer import Signer
from safelight.web.conditional import check_match
from safelight.web.meeting import meet
from safelight.web.visitor import Visit


def download_response(
    request: Request, visit: Visit, photo_id: uuid.UUID, connection: Connection, signer: Signer
) -> Response:
    """The way to a photo's file, for the part that the request asks for.

    The bucket's address gives the whole file, so it is only for who asks for the whole. A part, a probe, and a file
    that is cut on the way are answered and counted by `web.single`, to the byte. So is HEAD, which no signed address
    answers, and a part of a file that has changed: the bucket does not know If-Range, and would send a part of the new
    one. Raises PasswordRequired, DownloadsOff, NotForPreviews, NotFound, DownloadChanged, DownloadLimitReached.
    """
    share = visit.admit_download("web")
    file = photo_file(connection, share, photo_id)
    check_match(request, file.etag)
    part = parse_range(request.headers.get("range"), request.headers.get("if-range"), size=file.size, etag=file.etag)
    partial = part.status == 206 and part.stop - part.start < file.size
    changed = part.status == 200 and "range" in request.headers
    if file.shown.cut or partial or changed or request.method == "HEAD":
        return RedirectResponse(f"{settings().base_path}/s/{share.id}/photos/{photo_id}/file", 307)
    if part.status == 416:
        return Response(None, 416, {"Content-Range": f"bytes */{file.size}", "Accept-Ranges": "bytes"})
    item = downloads.Item(share, visit.who, visit.now, file.digest, file.size, photo_id)
    downloads.check(connection, item)
    if (first := meet(request, visit)) is not None:
        return first
    held = downloads.begin(connection, item, file.size)
    answer = RedirectResponse(visits.download_url(signer, file.shown), 307)
    visit.introduce(answer, held)
    return answer
