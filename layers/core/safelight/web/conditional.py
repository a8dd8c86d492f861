"""Answers that a client may keep and ask about again (RFC 9110 section 13)."""

import re
from collections.abc import Callable

from fastapi import Request, Response
from pydantic import BaseModel

from safelight.errors import PreconditionFailed

CACHE = "private, max-age=60"
_TAG = re.compile(r'(?:W/)?"[^"]*"')


class DownloadChanged(PreconditionFailed):
    code = "download_changed"
    title = "This file has changed since the download began: throw away what has come, and download it again"


def check_match(request: Request, etag: str) -> None:
    """The file is still the one that `If-Match` names, where there is one (RFC 9110 section 13.1.1).

    Chromium's parallel downloads ask so for their parts, and without `If-Range`. Raises DownloadChanged.
    """
    given = request.headers.get("if-match")
    if given is not None and given.strip() != "*" and etag not in _TAG.findall(given):
        raise DownloadChanged


def conditional(request: Request, etag: str, body: BaseModel | Callable[[], BaseModel]) -> Response:
    """304 when the client has this version, else 200 with it; a body that is a function is made only then."""
    headers = {"ETag": etag, "Cache-Control": CACHE, "Vary": "Authorization, X-API-Key"}
    given = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in given or "*" in given:
        return Response(status_code=304, headers=headers)
    shown = body if isinstance(body, BaseModel) else body()
    return Response(shown.model_dump_json(), headers=headers, media_type="application/json")
