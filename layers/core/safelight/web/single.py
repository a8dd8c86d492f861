"""Answering with one photo's file, where the bucket does not hold it as it is handed out."""

import uuid
from functools import partial

from fastapi import Request, Response
from pg8000.native import Connection

from safelight.archives.single import photo_file
from safelight.web.archive import Engine, check, count, ended, introduce, is_counted, part_of
from safelight.web.meeting import meet
from safelight.web.streaming import ArchiveResponse
from safelight.web.visitor import Visit
from safelight.web.wanted import Wanted


def file_response(
    request: Request, visit: Visit, photo_id: uuid.UUID, connection: Connection, engine: Engine
) -> Response:
    """The file that the link hands out of this photo, or the part of it that was asked for.

    Decided and counted here, where the bytes go out, so that no address is a way around either.
    Raises PasswordRequired, DownloadsOff, NotForPreviews, NotFound, DownloadChanged, DownloadLimitReached.
    """
    share = visit.admit_download("web")
    file = photo_file(connection, share, photo_id)
    wanted = Wanted(share.gallery_id, share.title, "original", visit, photo_id=photo_id)
    requested = part_of(request, file)
    held = None
    if request.method == "GET" and is_counted(requested):
        check(connection, wanted, file)
        if (first := meet(request, visit)) is not None:
            return first
        held = count(connection, wanted, file, requested)
    answer = ArchiveResponse(
        file,
        requested,
        engine.fetcher,
        engine.window,
        filename=file.name,
        media_type=file.content_type,
        headers={"Cache-Control": "private, no-cache"},
        ended=partial(ended, wanted, file),
    )
    introduce(answer, wanted, held)
    return answer
