"""Answering with an archive that lies in the bucket: the store sends it, and knows it by a validator of its own."""

from email.utils import format_datetime

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from safelight import storage
from safelight.archives.manifest import archive_key
from safelight.archives.plan import Plan
from safelight.storage.disposition import attachment
from safelight.storage.objects import ObjectInfo
from safelight.web.conditional import DownloadChanged, check_match

# S3 looks at the time when a request starts, so a transfer may last for hours; whoever resumes asks here again.
URL_SECONDS = 120


def lying(planned: Plan) -> ObjectInfo | None:
    """The object of this archive; None while there is none."""
    return storage.light_store().head(archive_key(planned.digest))


def check_unchanged(request: Request, planned: Plan) -> None:
    """A part of this archive may be added to what the client has. Raises DownloadChanged.

    RFC 9110 section 13.1.5 has the whole sent when `If-Range` fails. A redirect cannot do that: the client asks the
    store with the same `Range`, and a store that does not know `If-Range` would send a part of another archive. So the
    request is refused, and the client asks without a range. `If-Match` is decided by both, and here before anything is
    counted.
    """
    if_range = request.headers.get("if-range") if request.method == "GET" and "range" in request.headers else None
    if if_range is None and "if-match" not in request.headers:
        return
    stored = lying(planned)
    check_match(request, validator(planned, stored))
    known = [planned.etag]  # what the same archive was called if it was streamed
    if stored is not None:
        known += [stored.etag, format_datetime(stored.last_modified, usegmt=True)]
    if if_range is not None and if_range.strip() not in known:
        raise DownloadChanged


def validator(planned: Plan, stored: ObjectInfo | None) -> str:
    """The ETag of an archive that is built: the bucket's, once it is there."""
    return planned.etag if stored is None else stored.etag


def built_archive(request: Request, planned: Plan, filename: str) -> Response:
    """Where the object is for GET, and what it is for HEAD, which a signed GET URL would refuse."""
    headers, disposition = {"Cache-Control": "private, no-store"}, attachment(filename)
    if request.method == "HEAD":
        known = {"Content-Length": str(planned.size), "Accept-Ranges": "bytes"}
        if (stored := lying(planned)) is not None:
            known["ETag"] = stored.etag
        return Response(None, 200, {**headers, **known, "Content-Disposition": disposition}, "application/zip")
    sign = storage.signer().get_urls(URL_SECONDS, disposition=disposition, content_type="application/zip")
    return RedirectResponse(sign(archive_key(planned.digest)), 307, headers)
